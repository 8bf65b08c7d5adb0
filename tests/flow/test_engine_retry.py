"""What is tried again and when, through the whole engine: exact times on a clock that jumps."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from structlog.testing import capture_logs

from tests.virtual_time import START, VirtualClock, in_virtual_time
from tests.world import Outcome, World, failure, running, status
from tracklayer.delivery.render import Renderer
from tracklayer.flow.engine import LOOK_AT_CLOCK_EVERY
from tracklayer.model.delivery import DeliveryState, Request
from tracklayer.model.work import Settlement

GUIDE = {"attempts": 5, "backoff": "2s, 10s, 30s, 2m, 10m", "jitter": 0}


async def times(tmp_path: Path, *outcomes: Outcome, within: float = 3600, **config: Any) -> list[float]:
    """When one event's attempts went out, in seconds after the first, each meeting one of `outcomes`."""
    async with running(tmp_path) as world:
        world.network.script("/d", *outcomes)
        await world.destination("d", **({"retry": GUIDE} | config))
        await world.send("ord_1")
        await world.all_end(within=within)
        return world.network.times("/d")


@in_virtual_time
async def test_the_guides_policy_sends_six_times_and_uses_all_five_delays(tmp_path: Path) -> None:
    assert await times(tmp_path, status(500)) == pytest.approx([0, 2, 12, 42, 162, 762], abs=0.02)


@in_virtual_time
async def test_retries_end_with_the_first_success(tmp_path: Path) -> None:
    assert await times(tmp_path, status(500), status(502), status(204)) == pytest.approx([0, 2, 12], abs=0.02)


@in_virtual_time
async def test_a_shorter_list_repeats_its_last_delay(tmp_path: Path) -> None:
    retry = {"attempts": 4, "backoff": ["1s", "5s"], "jitter": 0}
    assert await times(tmp_path, status(500), retry=retry) == pytest.approx([0, 1, 6, 11, 16], abs=0.02)


@in_virtual_time
async def test_without_attempts_there_is_one_request_and_a_dead_letter(tmp_path: Path) -> None:
    assert await times(tmp_path, status(500), retry={"attempts": 0}) == [0]


@in_virtual_time
async def test_a_delay_counts_from_the_end_of_the_attempt(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.latency = 3.0
        world.network.script("/d", status(500), status(200))
        await world.destination("d", retry=GUIDE)
        await world.send("ord_1")
        await world.all_end()
        assert world.network.times("/d") == pytest.approx([0, 5], abs=0.02)


@in_virtual_time
async def test_jitter_adds_up_to_its_share_and_never_takes_away(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(500))
        await world.destination("d", retry={"attempts": 1, "backoff": "100s", "jitter": 0.5})
        await world.send(*(f"ord_{number}" for number in range(50)))
        await world.all_end()
        delays = []
        for number in range(50):
            first, second = await world.attempts(f"ord_{number}")
            delays.append(second.started_at - first.started_at)
        assert all(100 <= delay <= 150.1 for delay in delays)
        assert max(delays) - min(delays) > 25  # they do not come back all at once


@pytest.mark.parametrize("kind", ["dns", "connect", "tls", "timeout", "reset", "protocol"])
@in_virtual_time
async def test_a_network_that_fails_is_tried_again(tmp_path: Path, kind: Any) -> None:
    assert await times(tmp_path, failure(kind), status(200)) == pytest.approx([0, 2], abs=0.02)


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 507, 599])
@in_virtual_time
async def test_a_passing_fault_is_tried_again(tmp_path: Path, code: int) -> None:
    assert await times(tmp_path, status(code), status(200)) == pytest.approx([0, 2], abs=0.02)


@pytest.mark.parametrize("code", [301, 302, 307, 308, 304, 400, 401, 403, 404, 405, 409, 410, 413, 422, 501, 505])
@in_virtual_time
async def test_a_lasting_fault_goes_to_the_dead_letters_without_a_retry(tmp_path: Path, code: int) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(code, location="https://receiver.test/elsewhere"))
        await world.destination("d", retry=GUIDE)
        await world.send("ord_1")
        await world.all_end()
        dead = await world.delivery("ord_1")
        assert (dead.state, dead.attempts, dead.status_code) == (DeliveryState.DEAD, 1, code)
        assert len(world.network.sent) == 1


@in_virtual_time
async def test_a_fault_of_ours_is_an_attempt_too_and_ends_in_the_dead_letters(tmp_path: Path) -> None:
    with mock.patch.object(Renderer, "redactor", side_effect=ZeroDivisionError("a fault of ours")):
        async with running(tmp_path) as world:
            world.network.script("/d", status(200))
            await world.destination("d", retry=GUIDE | {"attempts": 2})
            with capture_logs() as lines:
                await world.send("ord_1")
                await world.all_end()
            dead = await world.delivery("ord_1")
            attempts = await world.attempts("ord_1")
    assert world.network.times("/d") == pytest.approx([0, 2, 12], abs=0.02)
    assert (dead.state, dead.attempts) == (DeliveryState.DEAD, 3)
    assert dead.reason == "gave up after 3 attempts: an error on our side is retried by default"
    assert {attempt.error_kind for attempt in attempts} == {"internal"}
    assert [line["event"] for line in lines].count("attempt_failed") == 3


@in_virtual_time
async def test_an_address_that_is_refused_goes_to_the_dead_letters_without_a_retry(tmp_path: Path) -> None:
    assert await times(tmp_path, failure("refused_address"), retry=GUIDE) == [0]


@in_virtual_time
async def test_a_body_that_is_not_valid_json_goes_to_the_dead_letters_and_is_kept(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", retry=GUIDE, template='{"n": {{{properties.raw}}}}')
        await world.send("ord_1", properties={"raw": "not json"})
        await world.all_end()
        letter = await world.service.dead_letters.get(world.workspace_id, (await world.delivery("ord_1")).id)
        assert world.network.sent == []
        assert letter.last is not None
        assert (letter.last.error_kind, letter.delivery.attempts) == ("validate", 1)
        assert letter.request is not None
        assert letter.request.body == b'{"n": not json}'


@in_virtual_time
async def test_a_request_that_cannot_be_rendered_goes_to_the_dead_letters_without_a_retry(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", retry=GUIDE, transport={"headers": {"X-Name": "{{properties.name}}"}})
        await world.send("ord_1", properties={"name": "two\r\nlines: injected"})
        await world.all_end()
        (attempt,) = await world.attempts("ord_1")
        assert world.network.sent == []
        assert (attempt.error_kind, attempt.action) == ("render", "dead")
        assert "X-Name" in (attempt.error or "")


@in_virtual_time
async def test_statuses_decide_both_ways(tmp_path: Path) -> None:
    retry = GUIDE | {"statuses": {"409": "retry", "5xx": "dead", "503": "retry"}}
    async with running(tmp_path) as world:
        for code in (409, 500, 503):
            world.network.script(f"/{code}", status(code), status(200))
            await world.destination(str(code), retry=retry, filter={"event_name": [f"e{code}"]})
            await world.send(f"ord_{code}", event_name=f"e{code}")
        await world.all_end()
        assert {path: len(world.network.to(path)) for path in ("/409", "/500", "/503")} == {
            "/409": 2,
            "/500": 1,
            "/503": 2,
        }


@pytest.mark.parametrize(
    "success, state, attempts",
    [
        ({"body_equals": "1"}, "delivered", 1),
        ({"body_equals": "0"}, "dead", 1),
        ({"body_contains": "zzz", "otherwise": "retry"}, "dead", 6),
    ],
)
@in_virtual_time
async def test_a_2xx_must_show_what_success_asks_for(
    tmp_path: Path, success: dict[str, Any], state: str, attempts: int
) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(200, body=b"1"))
        await world.destination("d", retry=GUIDE, success=success)
        await world.send("ord_1")
        await world.all_end()
        found = await world.delivery("ord_1")
        assert (found.state, found.attempts) == (state, attempts)


@pytest.mark.parametrize("asked, second", [("60", 60), ("1", 2)])
@in_virtual_time
async def test_retry_after_is_a_lower_bound(tmp_path: Path, asked: str, second: float) -> None:
    outcomes = status(500, retry_after=asked), status(200)
    assert await times(tmp_path, *outcomes) == pytest.approx([0, second], abs=0.02)


@in_virtual_time
async def test_retry_after_may_be_a_date(tmp_path: Path) -> None:
    at = formatdate(START + 45, usegmt=True)
    assert await times(tmp_path, status(503, retry_after=at), status(200)) == pytest.approx([0, 45], abs=1)


async def second_event(world: World, answer: Outcome) -> float:
    """How long after the first request (met by `answer`) another event goes out that comes one second later."""
    world.network.script("/d", answer, status(200))
    await world.destination("d", retry=GUIDE)
    await world.send("ord_1")
    await asyncio.sleep(1)
    await world.send("ord_2")
    await world.all_end()
    first = world.network.sent[0].at
    return next(sent.at - first for sent in world.network.sent if sent.header("X-TrackLayer-Event-Id") == "ord_2")


@pytest.mark.parametrize("code", [429, 503])
@in_virtual_time
async def test_a_throttle_with_retry_after_holds_the_whole_destination(tmp_path: Path, code: int) -> None:
    async with running(tmp_path) as world:
        assert await second_event(world, status(code, retry_after="30")) == pytest.approx(30, abs=0.02)


@pytest.mark.parametrize("answer", [status(429), status(500, retry_after="30"), status(404, retry_after="30")])
@in_virtual_time
async def test_nothing_else_holds_the_destination(tmp_path: Path, answer: Outcome) -> None:
    async with running(tmp_path) as world:
        assert await second_event(world, answer) == pytest.approx(1, abs=0.02)


@in_virtual_time
async def test_a_throttle_holds_no_neighbour(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/slow", status(429, retry_after="600"), status(200))
        await world.destination("slow", retry=GUIDE)
        await world.destination("quick")
        await world.send("ord_1")
        await asyncio.sleep(1)
        await world.send("ord_2")
        await asyncio.sleep(1)
        assert world.network.times("/quick") == pytest.approx([0, 1], abs=0.02)
        assert len(world.network.to("/slow")) == 1


@in_virtual_time
async def test_a_retry_is_sent_although_new_events_come_faster_than_the_limit_allows(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(500), status(200))
        retry = {"backoff": "60s", "jitter": 0}
        await world.destination("d", retry=retry, rate_limit={"events_per_second": 10})
        await world.send("first")
        for second in range(150):
            await world.send(*(f"ord_{second}_{number}" for number in range(20)))
            await asyncio.sleep(1)
        assert world.network.events("/d")["first"] == 2  # after the 300 at the most that were in memory before it


@in_virtual_time
async def test_a_fault_of_our_own_is_got_over_by_the_retry_policy(tmp_path: Path) -> None:
    calls = 0

    async def broken_once(_: Request) -> Outcome:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("a fault of ours")
        return status(200)

    async with running(tmp_path) as world:
        world.network.script("/d", broken_once)
        await world.destination("d", retry=GUIDE)
        await world.send("ord_1")
        await world.all_end()
        assert world.network.times("/d") == pytest.approx([0, 2], abs=0.02)
        assert (await world.delivery("ord_1")).state is DeliveryState.DELIVERED


@in_virtual_time
async def test_a_claim_beside_a_settlement_does_not_put_the_retry_off(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(500), status(200))
        await world.destination("d", retry={"attempts": 1, "backoff": "0s"})
        (lane,) = world.service.engine._lanes.values()
        settle = world.service._queue.settle

        async def settle_and_claim(settlements: list[Settlement]) -> None:
            claiming = asyncio.create_task(world.service.engine._claim(lane, world.clock.now() + 1))
            await settle(settlements)  # in the same transaction as the claim
            await claiming

        with mock.patch.object(world.service._queue, "settle", settle_and_claim):
            await world.send("ord_1")
            await world.all_end(within=10)
        assert world.network.times("/d") == pytest.approx([0, 0], abs=0.01)


@in_virtual_time
async def test_where_the_order_is_kept_a_users_events_arrive_in_it_and_a_failing_one_holds_only_its_own_user(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(500), status(200))
        await world.destination("d", ordering="per_user", retry={"attempts": 2, "backoff": "10s", "jitter": 0})
        await world.send("e_1", user_id="u_1")
        await world.send("e_2", "e_3", user_id="u_1")
        await world.send("e_4", user_id="u_2")
        await world.send("e_5")
        await world.all_end()
        arrived = [each.header("X-TrackLayer-Event-Id") for each in world.network.to("/d")]
        assert arrived[0] == "e_1"
        assert set(arrived[1:3]) == {"e_4", "e_5"}
        assert arrived[3:] == ["e_1", "e_2", "e_3"]


SOON = {"retry": {"backoff": "30s", "jitter": 0}}
PUT_OFF: dict[str, tuple[Outcome, dict[str, Any]]] = {
    "a retry": (status(500), SOON),
    "all of a destination": (status(503, retry_after="30"), SOON),
    "a user's events": (status(500), SOON | {"ordering": "per_user"}),
}


async def put_off(world: World, what: str) -> None:
    answer, config = PUT_OFF[what]
    world.network.script("/d", answer, status(200))
    await world.destination("d", **config)
    await world.send("ord_1", user_id="u_1")
    await asyncio.sleep(10)


async def goes_on(world: World) -> None:
    await world.send("ord_2", user_id="u_1")
    await asyncio.sleep(LOOK_AT_CLOCK_EVERY + 60)
    assert world.network.events("/d") == {"ord_1": 2, "ord_2": 1}


def set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    right = VirtualClock.now
    monkeypatch.setattr(VirtualClock, "now", lambda clock: right(clock) - 3600)


@pytest.mark.parametrize("what", PUT_OFF)
@in_virtual_time
async def test_what_is_put_off_waits_no_longer_where_the_clock_is_set_back(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        await put_off(world, what)
        with capture_logs() as logs:
            set_back(monkeypatch)
            await goes_on(world)
        assert [each["seconds"] for each in logs if each["event"] == "clock_set_back"] == [3600]


@pytest.mark.parametrize("what", ["a retry", "a user's events"])
@in_virtual_time
async def test_nor_where_it_was_set_back_before_a_restart(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as world:
        await put_off(world, what)
        network = world.network
    set_back(monkeypatch)
    async with running(tmp_path, network=network) as world:
        await goes_on(world)
