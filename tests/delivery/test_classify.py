from __future__ import annotations

from decimal import Decimal
from email.utils import formatdate
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.delivery.classify import MAX_RETRY_AFTER, classify, compile_rules
from tracklayer.errors import Invalid
from tracklayer.model.delivery import Failure, FailureKind, Response, Verdict
from tracklayer.model.destination import Retry, Success

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110


def verdict(
    status: int,
    body: bytes = b"",
    *,
    statuses: dict[str, Any] | None = None,
    success: Success | None = None,
    retry_after: str | None = None,
    truncated: bool = False,
) -> Verdict:
    headers = (("content-type", "text/plain"),) + ((("retry-after", retry_after),) if retry_after is not None else ())
    response = Response(status=status, headers=headers, body=body, truncated=truncated)
    return classify(compile_rules(Retry(statuses=statuses or {}), success), response, NOW)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert verdict(status) == Verdict(action="delivered", rule=f"{status} is a success")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 507, 520, 599])
def test_a_passing_trouble_is_retried(status: int) -> None:
    assert verdict(status) == Verdict(action="retry", rule=f"{status} is retried by default")


@pytest.mark.parametrize("status", [101, 400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 451, 501, 505, 600, 999])
def test_a_lasting_trouble_goes_to_the_dead_letters_without_a_retry(status: int) -> None:
    assert verdict(status) == Verdict(action="dead", rule=f"{status} is not retried by default")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_dead_and_the_rule_says_that_it_is_never_followed(status: int) -> None:
    found = verdict(status)
    assert found.action == "dead"
    assert "redirects are never followed" in found.rule


@pytest.mark.parametrize(
    "status, statuses, action, rule",
    [
        (409, {"409": "retry"}, "retry", "409 is retried: retry.statuses"),
        (503, {"5xx": "dead"}, "dead", "503 is not retried: retry.statuses 5xx"),
        (503, {"5xx": "dead", "503": "retry"}, "retry", "503 is retried: retry.statuses"),
        (501, {"5xx": "retry", "503": "dead"}, "retry", "501 is retried: retry.statuses 5xx"),
        (302, {"3xx": "retry"}, "retry", "302 is retried: retry.statuses 3xx (redirects are never followed)"),
        (202, {"202": "retry"}, "retry", "202 is retried: retry.statuses"),
        (999, {"999": "retry"}, "retry", "999 is retried: retry.statuses"),
        (404, {"409": "retry", "5xx": "dead"}, "dead", "404 is not retried by default"),
    ],
)
def test_a_destination_overrides_both_ways_and_an_exact_status_wins(
    status: int, statuses: dict[str, Any], action: str, rule: str
) -> None:
    assert (verdict(status, statuses=statuses).action, verdict(status, statuses=statuses).rule) == (action, rule)


@pytest.mark.parametrize("status", ["", "2xx", "1xx", "6xx", "100", "1000", "4x", "5XX", "٤٠٤", "-404", "404\n", "4/4"])
def test_a_status_that_is_none_is_refused_with_its_place(status: str) -> None:
    with pytest.raises(Invalid) as refusal:
        compile_rules(Retry(statuses={"503": "dead", status: "retry"}), None)
    assert refusal.value.pointer == "/retry/statuses/" + status.replace("/", "~1")


FAILURES = {
    "dns": ("retry", "a failed DNS lookup is retried by default"),
    "connect": ("retry", "a failed connection is retried by default"),
    "tls": ("retry", "a failed TLS handshake is retried by default"),
    "timeout": ("retry", "a timeout is retried by default"),
    "reset": ("retry", "a connection that was reset is retried by default"),
    "protocol": ("retry", "an answer that is not HTTP is retried by default"),
    "internal": ("retry", "an error on our side is retried by default"),
    "refused_address": ("dead", "an address that must not be reached is never retried"),
    "render": ("dead", "a request that cannot be rendered is never retried"),
    "validate": ("dead", "a request that is not valid is never retried"),
}


@pytest.mark.parametrize("kind", get_args(FailureKind))
def test_a_failure_of_the_network_is_retried_and_one_of_ours_is_not(kind: FailureKind) -> None:
    rules = compile_rules(Retry(statuses={"5xx": "dead"}), Success(body_equals="ok", otherwise="retry"))
    found = classify(rules, Failure(kind=kind, detail="why"), NOW)
    assert (found.action, found.rule) == FAILURES[kind]


MIXPANEL = Success(body_equals="1")
TIKTOK = Success(json={"code": 0, "data.errors": []})


@pytest.mark.parametrize(
    "success, body, problem",
    [
        (MIXPANEL, b"1", None),
        (MIXPANEL, b"1\r\n", None),
        (MIXPANEL, b"0", 'the body is not "1": success.body_equals'),
        (MIXPANEL, b"", 'the body is not "1": success.body_equals'),
        (MIXPANEL, b"11", 'the body is not "1": success.body_equals'),
        (Success(body_equals=""), b"", None),
        (Success(body_equals="é"), "é".encode(), None),
        (Success(body_contains="ok"), b'{"status":"ok"}', None),
        (Success(body_contains="ok"), b"no", '"ok" is not in the body: success.body_contains'),
        (TIKTOK, b'{"code": 0.0, "data": {"errors": []}}', None),
        (TIKTOK, b'{"code": 40100}', "code is 40100, expected 0: success.json"),
        (TIKTOK, b'{"code": "0"}', 'code is "0", expected 0: success.json'),
        (TIKTOK, b'{"code": false}', "code is false, expected 0: success.json"),
        (TIKTOK, b'{"code": 0, "data": {"errors": [1]}}', "data.errors is [1], expected []: success.json"),
        (TIKTOK, b'{"code": 0, "data": null}', "data.errors is absent, expected []: success.json"),
        (TIKTOK, b"[]", "code is absent, expected 0: success.json"),
        (TIKTOK, b"<html>", "the body is not JSON: success.json"),
        (TIKTOK, b"", "the body is not JSON: success.json"),
        (TIKTOK, b"\xff", "the body is not JSON: success.json"),
        (TIKTOK, b"[" * 60_000, "the body is not JSON: success.json"),
        (TIKTOK, b'{"code": 1e99999999999999999999}', "the body is not JSON: success.json"),
        (Success(json={"error": None}), b"{}", None),
        (Success(json={"results.0.ok": True}), b'{"results": [{"ok": true}]}', None),
        (Success(json={"r.1.ok": True}), b'{"r": [{"ok": true}]}', "r.1.ok is absent, expected true: success.json"),
        (Success(json={"meta": {"a": [1, Decimal("0.5")]}}), b'{"meta": {"a": [1.0, 0.50]}}', None),
        (Success(json={"ratio": 0.1}), b'{"ratio": 0.10}', None),
        (Success(body_contains="ok", json={"a": 1}), b'{"a": 1}', '"ok" is not in the body: success.body_contains'),
        (Success(body_contains="ok", json={"a": 1}), b'{"a": 2, "b": "ok"}', "a is 2, expected 1: success.json"),
        (Success(), b"anything", None),
    ],
)
def test_a_2xx_must_also_meet_the_success_rules(success: Success, body: bytes, problem: str | None) -> None:
    found = verdict(200, body, success=success)
    assert found.action == ("delivered" if problem is None else "dead")
    assert problem is None or found.rule == f"200, but {problem}"


def test_otherwise_retry_tries_a_2xx_again() -> None:
    success = Success(body_equals="1", otherwise="retry")
    assert verdict(200, b"0", success=success, retry_after="7") == Verdict(
        action="retry", rule='200, but the body is not "1": success.body_equals', retry_after=7.0
    )
    assert verdict(400, b"0", success=success).action == "dead"


@pytest.mark.parametrize(
    "success, body, problem",
    [
        (Success(body_equals="1"), b"1", "the body is longer than the 1 bytes that were read: success.body_equals"),
        (Success(json={"a": 1}), b'{"a": 1}', "the body is longer than the 8 bytes that were read: success.json"),
        (Success(body_contains="ok"), b"o", '"ok" is not in the first 1 bytes of the body: success.body_contains'),
        (Success(body_contains="ok"), b"it is ok, and ", None),
    ],
)
def test_what_was_not_read_of_a_body_meets_no_rule(success: Success, body: bytes, problem: str | None) -> None:
    found = verdict(200, body, success=success, truncated=True)
    assert found.action == ("delivered" if problem is None else "dead")
    assert problem is None or found.rule == f"200, but {problem}"


def test_a_truncated_body_is_no_matter_without_a_rule_about_it() -> None:
    assert verdict(200, b"x", truncated=True).action == "delivered"


@pytest.mark.parametrize(
    "success, place",
    [
        (Success(body_contains=""), "/success/body_contains"),
        (Success(body_equals="x" * 4097), "/success/body_equals"),
        (Success(body_contains="x" * 4097), "/success/body_contains"),
        (Success(json={}), "/success/json"),
        (Success(json={f"a{n}": 1 for n in range(51)}), "/success/json"),
        (Success(json={"a": 1, "b..c": 0}), "/success/json/b..c"),
        (Success(json={"": 0}), "/success/json/"),
        (Success(json={"a/b": float("nan")}), "/success/json/a~1b"),
        (Success(json={"a": [[[[[[[[1]]]]]]]]}), "/success/json/a"),
    ],
)
def test_an_impossible_success_rule_is_refused_with_its_place(success: Success, place: str) -> None:
    with pytest.raises(Invalid) as refusal:
        compile_rules(Retry(), success)
    assert refusal.value.pointer == place


@pytest.mark.parametrize(
    "value, seconds",
    [
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("-5", 0),
        ("86401", MAX_RETRY_AFTER),
        ("9" * 5000, MAX_RETRY_AFTER),
        ("Sun, 06 Nov 1994 08:51:37 GMT", 120),
        ("Sunday, 06-Nov-94 08:51:37 GMT", 120),
        ("Sun Nov  6 08:51:37 1994", 120),
        ("Sun, 06 Nov 1994 08:49:60 GMT", 22),
        ("Sat, 05 Nov 1994 08:49:37 GMT", 0),
        ("Sunday, 06-Nov-44 08:49:37 GMT", MAX_RETRY_AFTER),  # 2044: 50 years ahead
        ("Sunday, 06-Nov-45 08:49:37 GMT", 0),  # 1945: it would be more than 50 years ahead
        ("Wed, 06 Nov 2999 08:49:37 GMT", MAX_RETRY_AFTER),
        ("", None),
        ("soon", None),
        ("١٢٠", None),
        ("inf", None),
        ("nan", None),
        ("1e3", None),
        ("12 0", None),
        ("Sun, 32 Nov 1994 08:51:37 GMT", None),
        ("Sun, 06 Nov 1994 25:51:37 GMT", None),
        ("Sun, 06 Nov 0000 08:51:37 GMT", None),
        ("Sun, 06 Nov 1994 08:51:37 +0100", None),
        ("1994-11-06T08:51:37Z", None),
    ],
)
def test_retry_after_is_seconds_or_one_of_three_dates_and_never_absurd(value: str, seconds: float | None) -> None:
    found = verdict(503, retry_after=value)
    assert found.retry_after == seconds
    assert found.throttles is bool(seconds)
    assert found.action == "retry"


@pytest.mark.parametrize("status, throttles", [(429, True), (503, True), (500, False), (408, False)])
def test_only_429_and_503_delay_the_whole_destination(status: int, throttles: bool) -> None:
    found = verdict(status, retry_after="30")
    assert (found.retry_after, found.throttles) == (30, throttles)
    assert verdict(status).throttles is False


def test_a_429_that_is_not_retried_still_delays_the_destination() -> None:
    found = verdict(429, statuses={"429": "dead"}, retry_after="30")
    assert (found.action, found.retry_after, found.throttles) == ("dead", 30, True)


@pytest.mark.parametrize("status", [200, 401])
def test_retry_after_means_nothing_where_nothing_is_retried(status: int) -> None:
    assert verdict(status, retry_after="30").retry_after is None


@given(st.integers(0, 4 * 10**9))
def test_every_date_that_the_web_writes_is_read(moment: int) -> None:
    expected = min(max(0, moment - NOW), MAX_RETRY_AFTER)
    assert verdict(503, retry_after=formatdate(moment, usegmt=True)).retry_after == expected


@given(st.text(), st.binary(max_size=50), st.integers(100, 999), st.booleans())
def test_no_answer_breaks_the_classification(header: str, body: bytes, status: int, truncated: bool) -> None:
    success = Success(body_contains="1", json={"a.0": 1})
    found = verdict(status, body, success=success, retry_after=header, truncated=truncated)
    assert str(status) in found.rule
    assert found.retry_after is None or 0 <= found.retry_after <= MAX_RETRY_AFTER
    assert found.action != "delivered" or 200 <= status < 300
