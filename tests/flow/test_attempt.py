"""One attempt: render → sign → send → classify, and what of it may be kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.flow.plans import NOW, destination, work
from tracklayer.catalog import Destination
from tracklayer.delivery.redact import REDACTED
from tracklayer.delivery.render import MOST_MADE
from tracklayer.flow.attempt import Attempted, Attempter, Prepared, Unsendable
from tracklayer.model.delivery import Failure, Request, Response
from tracklayer.model.destination import Signing, Success
from tracklayer.model.work import KeptRequest, Work
from tracklayer.vault import Vault

SECRETS = {"token": "s3cret-0123-abcd", "pin": "1234567"}
AUTHORIZED = {"headers": {"Authorization": "Bearer {{secrets.token}}"}}


class Ticking:
    """A clock that moves by a second whenever it is looked at."""

    def __init__(self) -> None:
        self._now = NOW - 1

    def now(self) -> float:
        self._now += 1
        return self._now

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("an attempt does not wait")


class Wire:
    """A network that answers everything the same way, or with what the request makes of it."""

    def __init__(self, answer: Response | Failure | Callable[[Request], Response]) -> None:
        self.sent: list[Request] = []
        self._answer = answer

    async def send(self, request: Request) -> Response | Failure:
        self.sent.append(request)
        return self._answer(request) if callable(self._answer) else self._answer

    async def close(self) -> None:
        """Nothing is open."""


def attempter(answer: Response | Failure | Callable[[Request], Response] | None = None) -> tuple[Attempter, Wire]:
    wire = Wire(answer or Response(status=200, body=b"ok"))
    return Attempter(wire, Ticking(), Vault(bytes(32))), wire


async def attempt(
    to: Destination, given: Work, answer: Response | Failure | Callable[[Request], Response] | None = None
) -> tuple[Attempted, Wire, Attempter]:
    made, wire = attempter(answer)
    return await made.attempt(to, given, SECRETS), wire, made


def kept(done: Attempted, by: Attempter) -> KeptRequest:
    assert done.prepared is not None
    return by.keep(done.prepared, done.started_at)


def header(request: Request | KeptRequest, name: str) -> str:
    return next(value for known, value in request.headers if known == name)


async def test_an_attempt_counts_on_and_takes_its_times() -> None:
    done, wire, _ = await attempt(destination(), work(attempts=4))
    assert (done.number, done.started_at, done.finished_at) == (5, NOW, NOW + 1)
    assert done.verdict.action == "delivered"
    assert header(wire.sent[0], "X-TrackLayer-Attempt") == "5"
    assert header(wire.sent[0], "X-TrackLayer-Timestamp") == str(int(NOW))


async def test_templates_see_the_event_the_destination_and_the_delivery() -> None:
    template = (
        '{"e": "{{event_id}}", "p": {{properties.n}}, "d": "{{destination.id}} {{destination.name}}",'
        ' "v": {{destination.version}}, "a": {{delivery.attempt}}, "i": "{{delivery.id}}", "t": {{delivery.test}},'
        ' "s": "{{secrets.token}}"}'
    )
    _, wire, _ = await attempt(destination(template=template, version=3), work(properties={"n": 7}))
    assert json.loads(wire.sent[0].body or b"") == {
        "e": "ord_1",
        "p": 7,
        "d": "dst_1 d",
        "v": 3,
        "a": 1,
        "i": "dlv_1",
        "t": False,
        "s": SECRETS["token"],
    }


async def test_the_signature_is_of_the_exact_bytes_that_go_out() -> None:
    to = destination(template='{"n": "{{event_id}} é"}', signing=Signing(), signing_secret="dest_live_9f3b27")
    _, wire, _ = await attempt(to, work())
    body = wire.sent[0].body or b""
    digest = hmac.new(b"dest_live_9f3b27", body, hashlib.sha256).hexdigest()
    assert header(wire.sent[0], "X-TrackLayer-Signature") == f"sha256={digest}"


@pytest.mark.parametrize("until, both", [(NOW + 100, True), (NOW - 1, False)])
async def test_the_previous_secret_signs_until_its_overlap_ends(until: float, both: bool) -> None:
    to = destination(signing=Signing(), signing_secret="new-secret", previous_secret="old-secret", previous_until=until)
    _, wire, _ = await attempt(to, work())
    assert ("X-TrackLayer-Signature-Previous" in dict(wire.sent[0].headers)) is both


async def test_what_cannot_be_rendered_is_not_sent() -> None:
    to = destination(transport={"headers": {"X-Name": "{{properties.name}}"}})
    done, wire, _ = await attempt(to, work(properties={"name": "a\nb"}))
    assert wire.sent == []
    assert isinstance(done.result, Failure)
    assert (done.result.kind, done.verdict.action, done.prepared) == ("render", "dead", None)


async def test_what_is_not_valid_is_not_sent_and_can_be_looked_at() -> None:
    done, wire, by = await attempt(destination(template='{"n": {{{properties.raw}}}}'), work(properties={"raw": "x"}))
    assert wire.sent == []
    assert isinstance(done.result, Failure)
    assert (done.result.kind, done.verdict.action) == ("validate", "dead")
    assert kept(done, by).body == b'{"n": x}'


def echo(request: Request) -> Response:
    """What a careless receiver answers."""
    return Response(status=400, headers=(("x-seen", str(request.headers)),), body=(request.body or b"") + b" " + b"!")


async def test_a_receiver_that_echoes_the_request_reveals_no_secret() -> None:
    to = destination(template='{"t": "{{secrets.token}}"}', transport=AUTHORIZED)
    done, wire, _ = await attempt(to, work(), echo)
    assert SECRETS["token"] in str(wire.sent[0])
    assert SECRETS["token"] not in str(done.result)
    assert REDACTED in str(done.result)


async def test_what_an_answer_means_is_read_from_it_as_it_is() -> None:
    to = destination(
        template='{"status": "accepted", "half": {{divide secrets.pin 2}}, "token": "{{secrets.token}}"}',
        success=Success(json={"status": "accepted", "token": SECRETS["token"]}),
    )
    done, _, _ = await attempt(to, work(), lambda request: Response(status=200, body=request.body or b""))
    assert done.verdict.action == "delivered"
    assert SECRETS["token"] not in f"{done.verdict.rule} {done.result}"


async def test_a_number_beyond_all_bounds_beside_a_secret_is_sent_once_and_ends() -> None:
    number = "1e99999999999999999999"
    to = destination(template=f'{{"t": "{{{{secrets.token}}}}", "n": {number}}}')
    done, wire, _ = await attempt(to, work())
    assert number in str(wire.sent[0].body)
    assert done.verdict.action == "delivered"


async def test_of_an_answer_to_more_texts_with_secrets_than_can_be_looked_for_only_the_status_is_kept() -> None:
    many = ", ".join(f'"{number}{{{{base64 secrets.token}}}}"' for number in range(MOST_MADE + 1))
    done, wire, _ = await attempt(destination(template=f'{{"all": [{many}]}}', transport=AUTHORIZED), work(), echo)
    made = base64.b64encode(SECRETS["token"].encode()).decode()
    assert made in str(wire.sent[0])
    assert made not in str(done.result)
    assert done.result == Response(status=400, headers=(("x-seen", REDACTED),), body=REDACTED.encode())


async def test_a_failure_that_names_the_url_reveals_no_secret_in_it() -> None:
    to = destination(transport={"url": "https://receiver.test/services/{{secrets.token}}"})
    failure = Failure(kind="connect", detail=f"no connection to https://receiver.test/services/{SECRETS['token']}")
    done, _, _ = await attempt(to, work(), failure)
    assert SECRETS["token"] not in str(done.result)


# What is kept


async def test_without_secrets_the_request_is_kept_as_it_went_out() -> None:
    to = destination(transport={"headers": {"X-Environment": "production"}}, version=7)
    done, wire, by = await attempt(to, work())
    request = kept(done, by)
    sent = wire.sent[0]
    assert (request.version, request.sealed) == (7, None)
    assert (request.method, request.url, request.headers, request.body) == (
        sent.method,
        sent.url,
        sent.headers,
        sent.body,
    )


@pytest.mark.parametrize(
    "config",
    [
        {"transport": AUTHORIZED},
        {"transport": {"url": "https://receiver.test/{{secrets.token}}?t={{secrets.token}}"}},
        {"template": '{"t": "{{secrets.token}}"}'},
        {"transport": AUTHORIZED, "template": '{"t": "{{secrets.token}}", "n": {{#if properties.x}}1{{else}}2{{/if}}}'},
    ],
    ids=["header", "url", "body", "all"],
)
async def test_a_kept_request_shows_its_secrets_masked(config: dict[str, Any]) -> None:
    done, wire, by = await attempt(destination(**config), work(), Response(status=500))
    request = kept(done, by)
    assert SECRETS["token"] in str(wire.sent[0])
    assert SECRETS["token"] not in str(request)
    assert "abcd" in str(request)  # the last four show which one it was


async def test_a_body_with_a_secret_is_kept_sealed_and_goes_out_again_exactly() -> None:
    to = destination(template='{"t": "{{secrets.token}}", "at": {{delivery.attempt}}}')
    done, wire, by = await attempt(to, work(), Response(status=500))
    first = kept(done, by)
    assert first.sealed is not None

    again = by.prepare(destination(template='{"new": 1}'), work(attempts=1, kept=first), {}, now=NOW)
    assert isinstance(again, Prepared)
    assert again.request.body == wire.sent[0].body
    assert header(again.request, "X-TrackLayer-Attempt") == "2"


async def test_a_replay_as_sent_that_fails_again_is_kept_as_before() -> None:
    to = destination(template='{"t": "{{secrets.token}}"}')
    done, _, by = await attempt(to, work(), Response(status=500))
    first = kept(done, by)
    again = by.prepare(to, work(attempts=1, kept=first), SECRETS, now=NOW)
    assert isinstance(again, Prepared)
    second = by.keep(again, NOW)
    assert second.body == first.body
    assert SECRETS["token"] not in str(second)
    third = by.prepare(to, work(attempts=2, kept=second), SECRETS, now=NOW)
    assert isinstance(third, Prepared)
    assert third.request.body == again.request.body


async def test_a_sealed_body_cannot_be_moved_to_another_delivery() -> None:
    to = destination(template='{"t": "{{secrets.token}}"}')
    done, _, by = await attempt(to, work(), Response(status=500))
    with pytest.raises(Exception, match="cannot be decrypted"):
        by.prepare(to, work(2, kept=kept(done, by)), SECRETS, now=NOW)


async def test_where_a_template_cannot_take_dots_nothing_that_could_hold_a_secret_is_shown() -> None:
    to = destination(
        template='{"half": {{divide secrets.pin 2}}}',
        transport=AUTHORIZED | {"url": "https://receiver.test/{{secrets.token}}"},
    )
    done, wire, by = await attempt(to, work(), Response(status=500))
    assert wire.sent[0].body == b'{"half": 617283.5}'
    request = kept(done, by)
    assert request.url == f"https://receiver.test/{REDACTED}"
    assert request.body == REDACTED.encode()
    assert "Authorization" not in dict(request.headers)
    assert not any(secret in str(request) for secret in SECRETS.values())
    again = by.prepare(to, work(attempts=1, kept=request), SECRETS, now=NOW)
    assert isinstance(again, Prepared)
    assert again.request.body == wire.sent[0].body


def test_a_secret_that_is_not_there_is_a_failure_and_no_crash() -> None:
    made, _ = attempter()
    prepared = made.prepare(destination(template='{"t": "{{secrets.gone}}"}'), work(), {}, now=NOW)
    assert isinstance(prepared, Unsendable)
    assert "there is no secret 'gone'" in prepared.failure.detail
