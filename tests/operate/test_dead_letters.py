"""Dead letters by cause, and letting go of many."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import World, failure, running, status
from tracklayer.errors import Conflict, Invalid
from tracklayer.model.delivery import DeliveryState
from tracklayer.operate.dead_letters import NOTHING_WAS_SENT
from tracklayer.store.history import DeliveryFilter

KIM = "kim@example.com"


async def with_dead_letters(world: World) -> tuple[str, str]:
    """Three of the destination `a` (401, 401, timeout) and one of `b` (a success rule); answers their ids."""
    world.network.script("/a", status(401), status(401), failure("timeout"))
    a = await world.destination("a", retry={"attempts": 0})
    b = await world.destination("b", success={"body_equals": "1"}, filter={"properties.to_b": True})
    for number in range(3):
        await world.send(f"ord_{number}", properties={"to_b": number == 0})
    await world.all_end()
    return a, b


@in_virtual_time
async def test_they_are_grouped_by_destination_and_cause(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        a, b = await with_dead_letters(world)
        letters = world.service.dead_letters
        found = await letters.causes(world.workspace_id, DeliveryFilter())
        assert (found[0].destination_id, found[0].cause, found[0].count) == (a, "401", 2)
        assert {(each.destination_id, each.cause, each.count) for each in found[1:]} == {
            (a, "timeout", 1),
            (b, "success_rule", 1),
        }
        for group in found:
            wanted = DeliveryFilter(destination_id=group.destination_id, cause=group.cause)
            page = await letters.page(world.workspace_id, wanted, limit=10, before=None)
            assert (len(page), page[0].id) == (group.count, group.example)
            assert await letters.count(world.workspace_id, wanted) == group.count
        assert await letters.sparkline(world.workspace_id, a, "401") == [0] * 23 + [2]


@in_virtual_time
async def test_many_are_let_go_with_a_reason_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tracklayer.operate.dead_letters.PAGE", 1)
    async with running(tmp_path) as world:
        a, _ = await with_dead_letters(world)
        wanted = DeliveryFilter(destination_id=a, cause="401")
        letters = world.service.dead_letters
        assert await letters.discard_all(world.workspace_id, wanted, "test orders", author=KIM) == 2
        assert await world.states() == {"discarded": 2, "dead": 2}
        assert {each.reason for each in await world.deliveries(cause="401")} == {"test orders"}
        (entry,) = await world.service.audit.page(world.workspace_id, limit=1)
        assert (entry.actor, entry.action, entry.target) == (KIM, "dead_letter.discarded_all", a)
        assert entry.detail == {
            "count": 2,
            "reason": "test orders",
            "filter": {"destination_id": a, "cause": "401"},
        }


@pytest.mark.parametrize("reason", ["", "  "])
@in_virtual_time
async def test_many_are_not_let_go_without_a_reason(tmp_path: Path, reason: str) -> None:
    async with running(tmp_path) as world:
        await with_dead_letters(world)
        with pytest.raises(Invalid, match="reason") as refused:
            await world.service.dead_letters.discard_all(world.workspace_id, DeliveryFilter(), reason, author=KIM)
        assert refused.value.pointer == "/reason"
        assert await world.states() == {"dead": 4}


@in_virtual_time
async def test_of_many_that_are_sent_as_they_were_those_that_never_were_stay_dead(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/a", status(401), status(200))
        made = await world.destination("a", retry={"attempts": 0})
        await world.send("sent")
        await world.all_end()
        await world.change(made, "a", template="{{secrets.nope}}")
        await world.send("never_1", "never_2")
        await world.all_end()
        letters, wanted = world.service.dead_letters, DeliveryFilter(destination_id=made)
        dry = await letters.replay_all(world.workspace_id, wanted, "as_sent", dry_run=True, author=KIM)
        assert (dry.count, [each.error for each in dry.diffs]) == (1, [NOTHING_WAS_SENT, NOTHING_WAS_SENT, None])
        done = await letters.replay_all(world.workspace_id, wanted, "as_sent", dry_run=False, author=KIM)
        assert done.count == 1
        await world.all_end()
        assert (await world.delivery("sent")).state is DeliveryState.DELIVERED
        for event_id in ("never_1", "never_2"):
            assert ((await world.delivery(event_id)).state, (await world.delivery(event_id)).attempts) == (
                DeliveryState.DEAD,
                1,
            )


@in_virtual_time
async def test_of_two_who_decide_on_one_at_once_the_later_one_is_told_what_the_other_did(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("a", retry={"attempts": 0})
        letters = world.service.dead_letters
        for number, verbs in enumerate(itertools.product(("replay", "discard"), repeat=2)):
            world.network.script("/a", status(401), status(200))  # what is replayed is not dead again at once
            await world.send(f"ord_{number}")
            await world.all_end()
            found = await world.delivery(f"ord_{number}")
            which = world.workspace_id, found.id

            def decide(verb: str, which: tuple[str, str] = which) -> Coroutine[Any, Any, Any]:
                if verb == "replay":
                    return letters.replay(*which, "as_sent", author=KIM)
                return letters.discard(*which, f"for {verb}", author=KIM)

            results: list[Any] = await asyncio.gather(*map(decide, verbs), return_exceptions=True)
            (refused,) = [each for each in results if isinstance(each, Exception)]
            assert isinstance(refused, Conflict)
            assert refused.code == "not_dead"
            entries = await world.service.audit.page(world.workspace_id, limit=100)
            assert len([entry for entry in entries if entry.target == found.id]) == 1
            await world.all_end()
