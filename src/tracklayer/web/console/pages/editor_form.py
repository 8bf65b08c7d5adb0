"""The editor's form and the draft that it stands for: each is made of the other, and nothing typed is lost between."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

import msgspec

from tracklayer.model.destination import DestinationConfig
from tracklayer.model.event import Json
from tracklayer.operate.draft import config_json
from tracklayer.operate.draft_check import FieldProblem
from tracklayer.web.console.pages.forms import read_json
from tracklayer.web.console.words import pretty

Values = dict[str, str]
"""Field of the form → what stands in it."""

STEPS: dict[str, tuple[str, ...]] = {
    "transport": (
        "name", "url", "method", "headers", "scheme", "signing_secret", "timeout", "connect_timeout", "read_timeout",
    ),
    "filter": ("filter", "consent_requires", "when_unknown"),
    "template": ("template", "on_missing", "body_schema"),
    "retry": (
        "attempts", "backoff", "jitter", "retried", "dead", "body_equals", "body_contains", "success_json", "otherwise",
        "rate", "events_per_second", "burst", "ordering",
    ),
    "test": ("note",),
}  # fmt: skip
"""The guide's five steps in their order, and the fields of each."""

_PARTS: dict[str, tuple[str, ...]] = {
    "name": ("name",),
    "transport": ("url", "method", "headers", "timeout", "connect_timeout", "read_timeout"),
    "filter": ("filter",),
    "template": ("template",),
    "on_missing": ("on_missing",),
    "body_schema": ("body_schema",),
    "retry": ("attempts", "backoff", "jitter", "retried", "dead"),
    "success": ("body_equals", "body_contains", "success_json", "otherwise"),
    "rate_limit": ("rate", "events_per_second", "burst"),
    "consent": ("consent_requires", "when_unknown"),
    "ordering": ("ordering",),
}
"""Field of the draft → the fields of the form that it is made of."""

_WHOLE = {
    "transport": "url",
    "signing": "signing_secret",
    "retry": "backoff",
    "success": "body_equals",
    "rate_limit": "events_per_second",
    "consent": "consent_requires",
}
"""Where a problem of a part is shown that no field of it is to blame for."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a field of the form would be refused; with the place in it where that is known."""

    text: str
    line: int | None = None  # 1-based
    column: int | None = None  # 1-based, in characters


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """What a form says: a draft without what could not be read, and why it could not."""

    draft: dict[str, Json]
    problems: dict[str, Problem]


def step_of(field: str) -> str:
    """The step in which a field stands."""
    return next((step for step, fields in STEPS.items() if field in fields), "transport")


def values_of(config: DestinationConfig) -> Values:
    """A configuration as the form shows it."""
    transport, retry, success, rate = config.transport, config.retry, config.success, config.rate_limit
    return {
        "name": config.name,
        "url": transport.url,
        "method": transport.method,
        "headers": pretty(transport.headers) if transport.headers else "",
        "timeout": _duration(transport.timeout),
        "connect_timeout": _duration(transport.connect_timeout),
        "read_timeout": _duration(transport.read_timeout),
        "scheme": config.signing.scheme if config.signing else "",
        "signing_secret": "",
        "filter": pretty(config.filter) if config.filter else "",
        "consent_requires": ", ".join(config.consent.requires) if config.consent else "",
        "when_unknown": config.consent.when_unknown if config.consent else "deny",
        "template": config.template or "",
        "on_missing": config.on_missing,
        "body_schema": pretty(config.body_schema) if config.body_schema is not None else "",
        "attempts": str(retry.attempts),
        "backoff": retry.backoff if isinstance(retry.backoff, str) else ", ".join(map(_duration, retry.backoff)),
        "jitter": _number(Decimal(str(retry.jitter)) * 100),
        "retried": ", ".join(status for status, action in retry.statuses.items() if action == "retry"),
        "dead": ", ".join(status for status, action in retry.statuses.items() if action == "dead"),
        "body_equals": (success and success.body_equals) or "",
        "body_contains": (success and success.body_contains) or "",
        "success_json": pretty(success.json) if success and success.json is not None else "",
        "otherwise": success.otherwise if success else "dead",
        "rate": "" if rate is None else rate.profile or "number",
        "events_per_second": "" if rate is None or rate.events_per_second is None else str(rate.events_per_second),
        "burst": "" if rate is None or rate.burst is None else str(rate.burst),
        "ordering": config.ordering or "",
        "note": "",
    }


def posted(form: Mapping[str, object]) -> Values:
    """What a browser sent, its line ends made ours; a field that it did not send is empty."""
    fields = [field for fields in STEPS.values() for field in fields]
    sent = {field: str(form.get(field, "")).replace("\r\n", "\n") for field in fields}
    return sent | {"method": sent["method"] or "POST", "on_missing": sent["on_missing"] or "empty"}


def read(values: Values, standing: DestinationConfig | None) -> Read:
    """The draft that a form stands for. What was not touched of `standing` stays exactly as it was written."""
    reader = _Reader(values)
    draft: dict[str, Json] = {
        "name": values["name"].strip(),
        "transport": reader.transport(),
        "signing": _signing(values),
        "filter": reader.json("filter"),
        "template": values["template"] if values["template"].strip() else None,
        "on_missing": values["on_missing"],
        "body_schema": reader.json("body_schema"),
        "retry": reader.retry(),
        "success": reader.success(),
        "rate_limit": reader.rate_limit(),
        "consent": _consent(values),
        "ordering": values["ordering"] or None,
        "note": values["note"].strip() or None,
    }
    if standing is not None:
        before, shown = config_json(standing), values_of(standing)
        draft |= {part: before[part] for part, fields in _PARTS.items() if all(values[f] == shown[f] for f in fields)}
    return Read(draft={name: value for name, value in draft.items() if value is not None}, problems=reader.problems)


def placed(problem: FieldProblem, values: Values) -> tuple[str, Problem]:
    """The field of the form at which a draft's problem is shown, and the problem in its place there."""
    steps = [step.replace("~1", "/").replace("~0", "~") for step in problem.pointer.split("/")[1:]]
    if steps[:2] == ["transport", "headers"] and len(steps) > 2:
        line = next((at for at, text in enumerate(values["headers"].split("\n"), 1) if f'"{steps[2]}"' in text), None)
        column = None if line is None else 1
        return "headers", Problem(text=f"{steps[2]}: {problem.detail}", line=line, column=column)
    return _field(steps, values), Problem(text=problem.detail, line=problem.line, column=problem.column)


def _field(steps: list[str], values: Values) -> str:
    """The field of the form for a place in the draft."""
    part, name = (steps[0] if steps else ""), ".".join(steps[1:2])
    if part in ("transport", "retry", "success", "rate_limit", "signing") and name in _named_alike(part):
        return name
    if (part, name) == ("retry", "statuses"):
        return "retried" if steps[-1] in _words(values["retried"]) else "dead"
    if (part, name) == ("success", "json"):
        return "success_json"
    return _WHOLE.get(part, part if part in _PARTS else "name")


def _named_alike(part: str) -> tuple[str, ...]:
    """The fields of the form that are called as a part of the draft calls them."""
    return ("scheme",) if part == "signing" else _PARTS[part]


class _Reader:
    """Reads the fields that may not be readable; what is not, is left out and noted."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self.problems: dict[str, Problem] = {}

    def json(self, field: str) -> Json:
        text = self._values[field]
        if not text.strip():
            return None
        try:
            return read_json(text)
        except json.JSONDecodeError as error:
            said = f"{error.msg[0].lower()}{error.msg[1:]}"
            self.problems[field] = Problem(text=f"This is not JSON: {said}.", line=error.lineno, column=error.colno)
        except ValueError as error:
            self.problems[field] = Problem(text=f"This is not JSON: {error}.")
        return None

    def number(self, field: str) -> Decimal | int | None:
        text = self._values[field].strip().replace(",", ".")
        if not text:
            return None
        try:
            number = Decimal(text)
            if not number.is_finite():
                raise InvalidOperation
        except InvalidOperation:
            self.problems[field] = Problem(text=f"“{text}” is not a number.")
            return None
        return int(number) if number == number.to_integral_value() and abs(number) < 1e15 else number

    def transport(self) -> dict[str, Json]:
        values = self._values
        if not values["url"].strip():
            self.problems["url"] = Problem(text="Say where to send: an address such as https://hooks.example.com/in.")
        given = {
            "url": values["url"].strip() or None,
            "method": values["method"],
            "headers": self.json("headers"),
            **{field: values[field].strip() or None for field in ("timeout", "connect_timeout", "read_timeout")},
        }
        return {name: value for name, value in given.items() if value is not None}

    def retry(self) -> dict[str, Json]:
        jitter = self.number("jitter")
        if jitter is not None and not 0 <= jitter <= 100:
            self.problems["jitter"] = Problem(text=f"{jitter} % is no jitter: expected 0 to 100 % of the wait.")
            jitter = None
        attempts = self.number("attempts")
        if isinstance(attempts, Decimal):
            self.problems["attempts"] = Problem(text=f"{attempts} is not a whole number.")
            attempts = None
        statuses = dict.fromkeys(_words(self._values["retried"]), "retry")
        for status in _words(self._values["dead"]):
            if status in statuses:
                self.problems["dead"] = Problem(text=f"{status} is retried above: it can stand in one of the two only.")
            statuses[status] = "dead"
        given = {
            "attempts": attempts,
            "backoff": self._values["backoff"],
            "jitter": None if jitter is None else Decimal(jitter) / 100,
            "statuses": statuses,
        }
        return {name: value for name, value in given.items() if value is not None}

    def success(self) -> dict[str, Json] | None:
        values = self._values
        given = {
            "body_equals": values["body_equals"] or None,
            "body_contains": values["body_contains"] or None,
            "json": self.json("success_json"),
        }
        asked = {name: value for name, value in given.items() if value is not None}
        return asked | {"otherwise": values["otherwise"] or "dead"} if asked else None

    def rate_limit(self) -> dict[str, Json] | None:
        rate, burst = self._values["rate"], self.number("burst")
        if not rate:
            return None
        limit: dict[str, Json] = {"profile": rate}
        if rate == "number":
            number = self.number("events_per_second")
            if number is None and "events_per_second" not in self.problems:
                self.problems["events_per_second"] = Problem(
                    text="Say how many events per second, or choose a profile."
                )
            limit = {} if number is None else {"events_per_second": number}
        return limit | ({} if burst is None or not limit else {"burst": burst}) or None


def _signing(values: Values) -> dict[str, Json]:
    if not values["scheme"]:
        return {"enabled": False}
    return {"scheme": values["scheme"]} | ({"secret": values["signing_secret"]} if values["signing_secret"] else {})


def _consent(values: Values) -> dict[str, Json] | None:
    required = _words(values["consent_requires"])
    return {"requires": required, "when_unknown": values["when_unknown"] or "deny"} if required else None


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _duration(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:g}s"


def _number(value: Decimal) -> str:
    return f"{value.normalize():f}"
