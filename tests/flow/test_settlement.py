"""From an attempt to what is written: the state, when it is due, and what is kept."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.flow.plans import NOW, destination, work
from tracklayer.delivery.classify import classify
from tracklayer.flow.attempt import Attempted, Attempter, Prepared, Unsendable
from tracklayer.flow.settlement import BODY_OF_A_SUCCESS, settle, settle_test, stopped
from tracklayer.model.delivery import DeliveryState, Failure, Request, Response, Timings
from tracklayer.model.destination import Retry
from tracklayer.model.work import Settlement, Work
from tracklayer.ports import SystemClock
from tracklayer.vault import Vault

RETRY = Retry(attempts=3, backoff=[5, 50], jitter=0)
RNG = random.Random(7)


class NoNetwork:
    """Nothing is sent here."""

    async def send(self, request: Request) -> Response | Failure:
        raise AssertionError(f"{request} was sent")

    async def close(self) -> None:
        """Nothing is open."""


BY = Attempter(NoNetwork(), SystemClock(), Vault(bytes(32)))
TO = destination(version=4, retry=RETRY)


def attempted(given: Work, result: Response | Failure) -> Attempted:
    prepared = BY.prepare(TO, given, {}, now=NOW)
    ready = prepared.prepared if isinstance(prepared, Unsendable) else prepared
    return Attempted(
        number=given.attempts + 1,
        started_at=NOW,
        finished_at=NOW + 2,
        prepared=ready if isinstance(ready, Prepared) else None,
        result=result,
        verdict=classify(TO.plan.rules, result, NOW + 2),
    )


def settled(given: Work, result: Response | Failure) -> Settlement:
    return settle(given, TO, attempted(given, result), BY, RNG)


def status(code: int, **fields: Any) -> Response:
    return Response(status=code, **fields)


def test_a_success_is_delivered_and_keeps_no_request() -> None:
    done = settled(work(attempts=2, retries=2), status(204))
    assert (done.state, done.reason, done.kept) == (DeliveryState.DELIVERED, None, None)
    assert (done.attempts, done.retries, done.version, done.now) == (3, 2, 4, NOW + 2)
    assert done.attempt is not None
    assert (done.attempt.number, done.attempt.status_code, done.attempt.action) == (3, 204, "delivered")


@pytest.mark.parametrize("retries, delay", [(0, 5), (1, 50), (2, 50)])
def test_a_passing_fault_is_due_again_after_its_delay(retries: int, delay: float) -> None:
    done = settled(work(attempts=retries, retries=retries), status(503))
    assert (done.state, done.retries, done.due_at) == (DeliveryState.PENDING, retries + 1, NOW + 2 + delay)
    assert done.kept is not None
    assert "503" in (done.reason or "")


def test_the_last_retry_ends_in_a_dead_letter_that_says_so() -> None:
    done = settled(work(attempts=3, retries=3), status(503))
    assert done.state is DeliveryState.DEAD
    assert done.reason == "gave up after 4 attempts: 503 is retried by default"
    assert done.kept is not None


def test_a_replay_has_all_its_retries_again_and_counts_its_attempts_on() -> None:
    done = settled(work(attempts=4, retries=0), status(503))
    assert (done.state, done.attempts, done.retries) == (DeliveryState.PENDING, 5, 1)


def test_a_lasting_fault_is_a_dead_letter_at_once() -> None:
    done = settled(work(), status(404))
    assert (done.state, done.retries, done.due_at) == (DeliveryState.DEAD, 0, NOW + 2)
    assert done.reason == "404 is not retried by default"


def test_retry_after_is_a_lower_bound() -> None:
    assert settled(work(), status(429, headers=(("retry-after", "30"),))).due_at == NOW + 32
    assert settled(work(), status(429, headers=(("retry-after", "1"),))).due_at == NOW + 7


def test_a_failure_is_recorded_with_its_kind_and_its_times() -> None:
    timings = Timings(resolve_ms=1.0, total_ms=5.0)
    done = settled(work(), Failure(kind="reset", detail="it broke", timings=timings))
    assert done.attempt is not None
    assert (done.attempt.error_kind, done.attempt.error, done.attempt.status_code) == ("reset", "it broke", None)
    assert done.attempt.record.timings == timings


def test_the_answer_is_recorded_whole_where_it_failed_and_in_part_where_it_did_not() -> None:
    body = b"x" * (BODY_OF_A_SUCCESS + 1)
    failed, delivered = settled(work(), status(400, body=body)), settled(work(), status(200, body=body))
    assert failed.attempt is not None
    assert delivered.attempt is not None
    assert (len(failed.attempt.record.body), failed.attempt.record.truncated) == (len(body), False)
    assert (len(delivered.attempt.record.body), delivered.attempt.record.truncated) == (BODY_OF_A_SUCCESS, True)


def test_an_answer_that_is_no_text_is_recorded_all_the_same() -> None:
    done = settled(work(), status(400, body=b"\xff\xfeok"))
    assert done.attempt is not None
    assert done.attempt.record.body == "��ok"


@pytest.mark.parametrize("code, state", [(200, DeliveryState.DELIVERED), (503, DeliveryState.DEAD)])
def test_a_test_is_never_retried_and_always_kept(code: int, state: DeliveryState) -> None:
    given = work(test=True)
    done = settle_test(given, TO, attempted(given, status(code)), BY)
    assert (done.state, done.retries) == (state, 0)
    assert done.kept is not None
    assert (done.reason or "").startswith("a test is not retried: " if code == 503 else "")


def test_what_a_rule_stops_makes_no_attempt() -> None:
    done = stopped(work(attempts=1, retries=1), TO, "consent: denied", NOW)
    assert (done.state, done.reason, done.attempt) == (DeliveryState.SUPPRESSED, "consent: denied", None)
    assert (done.attempts, done.retries, done.version) == (1, 1, 4)
