"""What an answer, or the lack of one, means for its delivery: delivered, tried again, or dead.

In this order: the destination's `retry.statuses` (an exact status before its class), then for a 2xx its `success`
rules, then the default: 408, 425, 429 and 5xx but 501 and 505 are retried, and nothing else is. A redirect is an answer
like any other: it is never followed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from tracklayer.errors import Invalid, pointer
from tracklayer.model.delivery import Failure, FailureKind, Response, Verdict
from tracklayer.model.destination import Retry, Success
from tracklayer.model.event import Json, decode_json, encode_json

MAX_EXPECTED = 4096  # characters of an expected body, and of a JSON path
MAX_PATHS = 50
MAX_DEPTH = 8  # of an expected JSON value
MAX_RETRY_AFTER = 86400.0  # seconds

Action = Literal["retry", "dead"]

_STATUS = re.compile(r"[2-9][0-9]{2}|[345]xx")
_RETRIED = frozenset({408, 425, 429})
_FINAL_5XX = frozenset({501, 505})
_THROTTLING = frozenset({429, 503})
_RETRIED_FAILURES: dict[FailureKind, str] = {
    "dns": "a failed DNS lookup",
    "connect": "a failed connection",
    "tls": "a failed TLS handshake",
    "timeout": "a timeout",
    "reset": "a connection that was reset",
    "protocol": "an answer that is not HTTP",
    "internal": "an error on our side",
}
_FINAL_FAILURES: dict[FailureKind, str] = {
    "refused_address": "an address that must not be reached",
    "render": "a request that cannot be rendered",
    "validate": "a request that is not valid",
}

_Condition = Callable[[Response], str | None]  # why a 2xx answer does not meet it; None: it does


@dataclass(frozen=True, slots=True)
class Rules:
    """A destination's compiled rules; made by `compile_rules`."""

    _statuses: Mapping[str, Action]  # "409" or "5xx"
    _success: tuple[_Condition, ...]
    _otherwise: Action  # for a 2xx that does not meet `_success`


def compile_rules(retry: Retry, success: Success | None) -> Rules:
    """Compile `retry.statuses` and `success`.

    Raises `Invalid` with a pointer such as `/retry/statuses/6xx` or `/success/json/code`. A status is 200 to 999, or a
    class 3xx, 4xx, 5xx: what a 2xx must show is for `success` to say, and 1xx is never the last word.
    """
    for status in retry.statuses:
        if not _STATUS.fullmatch(status):
            expected = "expected one from 200 to 999, or a class: 3xx, 4xx, 5xx"
            raise _refused(f"{status!r} is not a status: {expected}", "retry", "statuses", status)
    if success is None:
        return Rules(dict(retry.statuses), (), "dead")
    return Rules(dict(retry.statuses), tuple(_conditions(success)), success.otherwise)


def classify(rules: Rules, result: Response | Failure, now: float) -> Verdict:
    """The verdict on one attempt. `now` (unix seconds) is when the answer came; a `Retry-After` date counts from it."""
    if isinstance(result, Failure):
        return _classify_failure(result)
    action, rule = _judge(rules, result)
    asked = None if action == "delivered" else _retry_after(result.headers, now)
    throttles = bool(asked) and result.status in _THROTTLING
    return Verdict(
        action=action, rule=rule, retry_after=asked if action == "retry" or throttles else None, throttles=throttles
    )


def _classify_failure(failure: Failure) -> Verdict:
    if failure.kind in _FINAL_FAILURES:
        return Verdict(action="dead", rule=f"{_FINAL_FAILURES[failure.kind]} is never retried")
    return Verdict(action="retry", rule=f"{_RETRIED_FAILURES[failure.kind]} is retried by default")


def _judge(rules: Rules, response: Response) -> tuple[Literal["delivered", "retry", "dead"], str]:
    status = response.status
    aside = " (redirects are never followed)" if 300 <= status < 400 else ""
    for key, which in ((str(status), ""), (family := f"{status // 100}xx", f" {family}")):
        if key in rules._statuses:
            action = rules._statuses[key]
            return action, f"{status} is {_WORDS[action]}: retry.statuses{which}{aside}"
    if 200 <= status < 300:
        for unmet in (condition(response) for condition in rules._success):
            if unmet is not None:
                return rules._otherwise, f"{status}, but {unmet}"
        return "delivered", f"{status} is a success" + (" and meets the success rules" if rules._success else "")
    retried = status in _RETRIED or (500 <= status < 600 and status not in _FINAL_5XX)
    action = "retry" if retried else "dead"
    return action, f"{status} is {_WORDS[action]} by default{aside}"


_WORDS: dict[Action, str] = {"retry": "retried", "dead": "not retried"}


# Success rules. What was not read of a truncated body can neither meet a rule nor be guessed: a rule that the part at
# hand does not meet is unmet, and says so.


def _conditions(success: Success) -> list[_Condition]:
    conditions: list[_Condition] = []
    if success.body_equals is not None:
        conditions.append(_body_equals(_expected_text(success.body_equals, "body_equals")))
    if success.body_contains is not None:
        if not success.body_contains:
            raise _refused("an empty text is in every body: expected a text", "success", "body_contains")
        conditions.append(_body_contains(_expected_text(success.body_contains, "body_contains")))
    if success.json is not None:
        if not 1 <= len(success.json) <= MAX_PATHS:
            raise _refused(f"json has {len(success.json)} paths: expected 1 to {MAX_PATHS}", "success", "json")
        conditions.append(_json_matches({path: _expected(path, value) for path, value in success.json.items()}))
    return conditions


def _expected_text(text: str, field: str) -> str:
    if len(text) > MAX_EXPECTED:
        raise _refused(f"{field} has {len(text)} characters: expected at most {MAX_EXPECTED}", "success", field)
    return text


def _expected(path: str, value: Json) -> Json:
    if len(path) > MAX_EXPECTED or not all(path.split(".")):
        raise _refused(f"{path[:80]!r} is not a path: expected names joined by dots", "success", "json", path)
    return _exact(value, path, MAX_DEPTH)


def _exact(value: Json, path: str, depth: int) -> Json:
    """`value` with its floats as the decimals that they were written as."""
    if not depth:
        raise _refused(f"the value of {path} is more than {MAX_DEPTH} deep", "success", "json", path)
    if isinstance(value, dict):
        return {key: _exact(item, path, depth - 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_exact(item, path, depth - 1) for item in value]
    exact = Decimal(str(value)) if isinstance(value, float) else value
    if isinstance(exact, Decimal) and not exact.is_finite():
        raise _refused(f"{value} is not a JSON number", "success", "json", path)
    return exact


def _body_equals(expected: str) -> _Condition:
    """White space around a body, such as a last line break, does not count."""
    wanted = expected.strip().encode()

    def unmet(response: Response) -> str | None:
        if response.truncated:
            return f"the body is longer than the {len(response.body)} bytes that were read: success.body_equals"
        return None if response.body.strip() == wanted else f'the body is not "{_clip(expected)}": success.body_equals'

    return unmet


def _body_contains(expected: str) -> _Condition:
    wanted = expected.encode()

    def unmet(response: Response) -> str | None:
        if wanted in response.body:
            return None
        where = f"the first {len(response.body)} bytes of the body" if response.truncated else "the body"
        return f'"{_clip(expected)}" is not in {where}: success.body_contains'

    return unmet


def _json_matches(expected: Mapping[str, Json]) -> _Condition:
    """A path that leads nowhere is the same as a null."""

    def unmet(response: Response) -> str | None:
        if response.truncated:
            return f"the body is longer than the {len(response.body)} bytes that were read: success.json"
        try:
            body = decode_json(response.body)
        except (msgspec.DecodeError, RecursionError, ArithmeticError, UnicodeDecodeError):
            return "the body is not JSON: success.json"
        for path, wanted in expected.items():
            found = _at(body, path)
            if not _same(found, wanted):
                return f"{_clip(path)} is {_show(found)}, expected {_show(wanted)}: success.json"
        return None

    return unmet


def _at(value: Json, path: str) -> Json:
    for part in path.split("."):
        if isinstance(value, dict):
            value = value.get(part)
        elif (
            isinstance(value, list) and part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(value)
        ):
            value = value[int(part)]
        else:
            return None
    return value


def _same(found: Json, wanted: Json) -> bool:
    """Equal as JSON: 0 equals 0.0, and true is not 1."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and found.keys() == wanted.keys()
            and all(_same(found[key], value) for key, value in wanted.items())
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_same, found, wanted))
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _show(value: Json) -> str:
    return "absent" if value is None else _clip(encode_json(value).decode())


def _clip(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"


# Retry-After, RFC 9110 section 10.2.3: seconds, or one of the three dates of section 5.6.7.

_SECONDS = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "(?P<month>" + "|".join(_MONTHS) + ")"
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_DATES = (
    re.compile(rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT", re.ASCII),
    re.compile(rf"[A-Z][a-z]{{5,8}}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT", re.ASCII),  # RFC 850
    re.compile(rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})", re.ASCII),  # asctime
)


def _retry_after(headers: tuple[tuple[str, str], ...], now: float) -> float | None:
    """The seconds that the receiver asks for, 0 to 24 h; None where it does not, or in no form that is known."""
    value = next((value.strip() for name, value in headers if name == "retry-after"), "")
    if _SECONDS.fullmatch(value):
        seconds = float(value)
    else:
        date = _http_date(value, now)
        if date is None:
            return None
        seconds = date - now
    return min(max(0.0, seconds), MAX_RETRY_AFTER)


def _http_date(text: str, now: float) -> float | None:
    found = next((match for match in (form.fullmatch(text) for form in _DATES) if match), None)
    if found is None:
        return None
    year, month = int(found["year"]), _MONTHS.index(found["month"]) + 1
    if len(found["year"]) == 2:  # the one of that ending that is no more than 50 years ahead
        this_year = datetime.fromtimestamp(now, UTC).year
        year = this_year - 49 + (year - this_year + 49) % 100
    second = min(int(found["second"]), 59)  # a leap second is written 60
    try:
        return datetime(
            year, month, int(found["day"]), int(found["hour"]), int(found["minute"]), second, tzinfo=UTC
        ).timestamp()
    except ValueError:
        return None


def _refused(detail: str, *place: str) -> Invalid:
    return Invalid(detail, code=f"invalid_{place[0]}", pointer=pointer(*place))
