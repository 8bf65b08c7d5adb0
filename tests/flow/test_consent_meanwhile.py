"""Consent is asked again before every attempt: what was withdrawn meanwhile stops, or strips, what waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.store.samples import remembered
from tests.virtual_time import in_virtual_time
from tests.world import World, running, status
from tracklayer.errors import Unavailable
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.event import decode_json
from tracklayer.model.moment import rfc3339
from tracklayer.model.profile import ProfileUpdate
from tracklayer.store.history import DeliveryFilter
from tracklayer.store.profiles import Profiles

USER = {"external_id": "u_1", "email": "ada@example.com"}
GRANTED = {"ad_storage": "granted"}
NEEDS_ADS = {"requires": ["ad_storage"]}
REDACTS = NEEDS_ADS | {"when_denied": "redact", "redact": ["user_data.email", "user_data.email_hash"]}


async def says(world: World, state: str, *, user: str = "u_1", at: float | None = None) -> float:
    """The user says so of ad_storage; answers when."""
    moment = world.clock.now() if at is None else at
    update = ProfileUpdate(user_key=user, consent={"ad_storage": state}, at=moment)
    database = world.service._database
    await remembered(database, {world.workspace_id: [update]})
    return moment


def suppressed(at: float) -> tuple[DeliveryState, str]:
    reason = f"consent: ad_storage is denied by the user, remembered since {rfc3339(at)}"
    return DeliveryState.SUPPRESSED, reason


async def standing(world: World, event_id: str) -> tuple[DeliveryState, str | None]:
    delivery = await world.delivery(event_id)
    return delivery.state, delivery.reason


def bodies(world: World, path: str = "/d") -> list[Any]:
    return [decode_json(sent.request.body or b"null") for sent in world.network.to(path)]


@in_virtual_time
async def test_what_waits_for_a_paused_destination_is_not_sent_after_a_withdrawal(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", consent=NEEDS_ADS)
        await world.pause(made)
        await world.send("ord_1", user_data=USER, consent=GRANTED)
        await world.send("ord_2", user_data={"external_id": "u_2"}, consent=GRANTED)
        await asyncio.sleep(60)
        at = await says(world, "denied")
        await world.resume(made)
        await world.all_end()
        assert await standing(world, "ord_1") == suppressed(at)
        assert (await world.delivery("ord_2")).state is DeliveryState.DELIVERED
        assert world.network.events("/d") == {"ord_2": 1}


@in_virtual_time
async def test_a_retry_is_not_made_after_a_withdrawal(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(503))
        await world.destination("d", consent=NEEDS_ADS, retry={"backoff": "60s", "jitter": 0})
        await world.send("ord_1", user_data=USER, consent=GRANTED)
        await asyncio.sleep(90)
        assert world.network.times("/d") == [0, 60]
        at = await says(world, "denied")
        await world.all_end()
        assert await standing(world, "ord_1") == suppressed(at)
        assert world.network.times("/d") == [0, 60]
        assert (await world.delivery("ord_1")).attempts == 2


@in_virtual_time
async def test_a_withdrawal_counts_for_what_a_restart_finds_waiting(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", consent=NEEDS_ADS)
        await world.pause(made)
        await world.send("ord_1", user_data=USER, consent=GRANTED)
        at = await says(world, "denied", at=world.clock.now() + 1)
    async with running(tmp_path) as world:
        await world.resume(made)
        await world.all_end()
        assert await standing(world, "ord_1") == suppressed(at)
        assert world.network.sent == []


@pytest.mark.parametrize("mode", ["as_sent", "rerender"])
@in_virtual_time
async def test_a_replay_is_not_sent_after_a_withdrawal(tmp_path: Path, mode: Any) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(400), status(200))
        await world.destination("d", consent=NEEDS_ADS)
        await world.send("ord_1", "ord_2", user_data=USER, consent=GRANTED)
        await world.all_end()
        at = await says(world, "denied")
        dead = [each for each in await world.deliveries() if each.state is DeliveryState.DEAD]
        await world.service.dead_letters.replay(world.workspace_id, dead[0].id, mode, author="test")
        await world.all_end()
        assert await standing(world, dead[0].event_id) == suppressed(at)
        assert len(world.network.sent) == 2


@in_virtual_time
async def test_a_replay_of_many_asks_for_each_user(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", *[status(400)] * 6, status(200))
        await world.destination("d", consent=NEEDS_ADS)
        for number in range(6):
            await world.send(f"ord_{number}", user_data={"external_id": f"u_{number}"}, consent=GRANTED)
        await world.all_end()
        await says(world, "denied", user="u_1")
        await says(world, "denied", user="u_4")
        await world.service.dead_letters.replay_all(
            world.workspace_id, DeliveryFilter(), "rerender", dry_run=False, author="test"
        )
        await world.all_end()
        assert await world.states() == {"delivered": 4, "suppressed": 2}
        twice = {event_id for event_id, count in world.network.events("/d").items() if count == 2}
        assert twice == {"ord_0", "ord_2", "ord_3", "ord_5"}


@in_virtual_time
async def test_the_browsers_banner_counts_for_a_user_who_is_signed_in(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", consent=NEEDS_ADS)
        await world.pause(made)
        await world.send("ord_1", user_data=USER | {"anonymous_id": "a_1"}, consent=GRANTED)
        await asyncio.sleep(1)
        at = await says(world, "denied", user="anonymous:a_1")
        await world.resume(made)
        await world.all_end()
        assert await standing(world, "ord_1") == suppressed(at)


@in_virtual_time
async def test_an_older_denial_stops_nothing_that_the_event_itself_allows(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", consent=NEEDS_ADS)
        await says(world, "denied", at=world.clock.now() - 60)
        await world.send("ord_1", user_data=USER, consent=GRANTED)
        await world.all_end()
        assert await standing(world, "ord_1") == (DeliveryState.DELIVERED, None)


@in_virtual_time
async def test_what_is_unknown_to_the_event_may_be_known_of_its_user(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", consent=NEEDS_ADS | {"when_unknown": "allow"})
        at = await says(world, "denied", at=world.clock.now() - 60)
        await world.send("ord_1", user_data=USER)
        await world.all_end()
        assert await standing(world, "ord_1") == suppressed(at)


@in_virtual_time
async def test_after_a_withdrawal_it_goes_without_the_fields_that_the_policy_names(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", consent=REDACTS)
        await world.send("ord_1", user_data=USER, consent=GRANTED)
        await world.all_end()
        await world.pause(made)
        await world.send("ord_2", user_data=USER, consent=GRANTED)
        await asyncio.sleep(1)
        at = await says(world, "denied")
        await world.resume(made)
        await world.all_end()
        assert await standing(world, "ord_1") == (DeliveryState.DELIVERED, None)
        assert await standing(world, "ord_2") == (
            DeliveryState.DELIVERED,
            "sent with user_data.email, user_data.email_hash redacted: "
            f"ad_storage is denied by the user, remembered since {rfc3339(at)}",
        )
        first, second = bodies(world)
        assert first["user_data"]["email"] == "ada@example.com"
        assert second["user_data"] == {"external_id": "u_1"}
        stored = await world.service.history.event(world.workspace_id, "ord_2")
        assert stored is not None
        assert stored.event.user_data["email"] == "ada@example.com"


@in_virtual_time
async def test_templates_see_the_redacted_event(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        template = (
            '{"mail": "{{user_data.email}}", "hash": "{{sha256 user_data.email}}", "id": "{{user_data.external_id}}"}'
        )
        transport = {"headers": {"X-Mail": "<{{user_data.email}}>"}}
        await world.destination("d", consent=REDACTS, template=template, transport=transport)
        await world.send("ord_1", user_data=USER, consent={"ad_storage": "denied"})
        await world.all_end()
        (body,) = bodies(world)
        assert body["mail"] == ""
        assert body["id"] == "u_1"
        assert b"ada" not in (world.network.sent[0].request.body or b"")
        assert world.network.sent[0].header("X-Mail") == "<>"
        reason = "sent with user_data.email, user_data.email_hash redacted: ad_storage is denied by the event"
        assert await standing(world, "ord_1") == (DeliveryState.DELIVERED, reason)


@in_virtual_time
async def test_a_replay_as_sent_sends_no_body_that_has_the_fields(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(400), status(200))
        await world.destination("d", consent=REDACTS)
        await world.send("ord_1", user_data=USER, consent=GRANTED)
        await world.all_end()
        await says(world, "denied")
        dead = await world.delivery("ord_1")
        await world.service.dead_letters.replay(world.workspace_id, dead.id, "as_sent", author="test")
        await world.all_end()
        before, after = bodies(world)
        assert before["user_data"]["email"] == "ada@example.com"
        assert after["user_data"] == {"external_id": "u_1"}


@in_virtual_time
async def test_a_dead_letter_keeps_why_it_was_redacted_beside_why_it_died(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(400))
        await world.destination("d", consent=REDACTS)
        await world.send("ord_1", user_data=USER, consent={"ad_storage": "denied"})
        await world.all_end()
        dead = await world.delivery("ord_1")
        assert dead.state is DeliveryState.DEAD
        assert dead.reason is not None
        assert dead.reason.startswith("400 ")
        assert dead.reason.endswith("redacted: ad_storage is denied by the event")
        kept = await world.service.history.kept_request(dead.id)
        assert kept is not None
        assert b"ada@example.com" not in (kept.body or b"")


@in_virtual_time
async def test_a_field_that_may_not_be_sent_does_not_decide_what_is(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        by_mail = {"user_data.email": {"$suffix": "@example.com"}}
        await world.destination("d", consent=REDACTS, filter=by_mail)
        await world.send("ord_1", user_data=USER, consent={"ad_storage": "denied"})
        await world.all_end()
        state, reason = await standing(world, "ord_1")
        assert state is DeliveryState.SUPPRESSED
        assert reason is not None
        assert reason.endswith("; the filter does not match without user_data.email, user_data.email_hash")


@in_virtual_time
async def test_an_operators_suppression_sees_the_fields_that_are_redacted(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", consent=REDACTS)
        await world.service.destinations.suppress(
            world.workspace_id,
            made,
            event_filter={"user_data.email": USER["email"]},
            reason="x",
            until=None,
            author="t",
        )
        await world.send("ord_1", user_data=USER, consent={"ad_storage": "denied"})
        await world.all_end()
        assert (await world.delivery("ord_1")).state is DeliveryState.SUPPRESSED
        assert world.network.sent == []


@in_virtual_time
async def test_a_destination_without_a_policy_costs_no_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    real = Profiles._read

    async def read(self: Profiles, lot: Any) -> Any:
        asked.append(lot)
        return await real(self, lot)

    monkeypatch.setattr(Profiles, "_read", read)
    async with running(tmp_path) as world:
        await world.destination("free")
        await world.destination("empty", consent={"requires": []})
        await world.send("ord_1", user_data=USER)
        await world.all_end()
        assert asked == []
        await world.destination("asks", consent=NEEDS_ADS)
        await world.send("ord_2", user_data=USER, consent=GRANTED)
        await world.send("ord_3", consent=GRANTED)  # nobody of whom anything could be remembered
        await world.all_end()
        assert asked == [[(world.workspace_id, ("u_1",))]]
        assert await world.states() == {"delivered": 8}


@in_virtual_time
async def test_nothing_is_sent_or_lost_while_consent_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Profiles._read
    broken = True

    async def read(self: Profiles, lot: Any) -> Any:
        if broken:
            raise Unavailable("the disk is gone")
        return await real(self, lot)

    monkeypatch.setattr(Profiles, "_read", read)
    async with running(tmp_path) as world:
        await world.destination("d", consent=NEEDS_ADS)
        await world.send("ord_1", user_data=USER, consent=GRANTED)
        await asyncio.sleep(200)
        assert world.network.sent == []
        assert (await world.delivery("ord_1")).state is DeliveryState.PENDING
        broken = False
        await world.all_end()
        assert await standing(world, "ord_1") == (DeliveryState.DELIVERED, None)
        assert len(world.network.sent) == 1
