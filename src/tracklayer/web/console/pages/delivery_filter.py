"""What the list of deliveries is narrowed to: read from an address, written into one, held against the live tail."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import get_args
from urllib.parse import urlencode

import msgspec

from tracklayer.errors import Invalid
from tracklayer.flow.tail import Note
from tracklayer.model.delivery import DeliveryState, FailureKind
from tracklayer.model.moment import given_moment
from tracklayer.model.work import SUCCESS_RULE
from tracklayer.store.history import UNKNOWN, DeliveryFilter

STATES = {
    "": "Any",
    "pending": "Waiting: pending or retrying",
    "untried": "Pending, not tried yet",
    "retrying": "Retrying",
    "sending": "Sending now",
    "delivered": "Delivered",
    "dead": "Dead letter",
    "suppressed": "Suppressed",
    "discarded": "Discarded",
}
WINDOWS = {"": "All", "1h": "1 h", "24h": "24 h", "7d": "7 d"}
TESTS = {"": "Shown", "no": "Left out", "yes": "Only tests"}
CAUSES = (*get_args(FailureKind), SUCCESS_RULE, UNKNOWN)

_SECONDS = {"1h": 3600.0, "24h": 86_400.0, "7d": 7 * 86_400.0}
_CODE = re.compile(r"[1-9][0-9]{2}")
_CAUSE = re.compile(r"[a-z0-9_]{1,40}")


class Narrowed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields as the address has them; an empty text is any."""

    destination_id: str = ""
    event_name: str = ""
    event_id: str = ""
    state: str = ""
    code: str = ""
    cause: str = ""
    window: str = ""
    since: str = ""  # RFC 3339; a window counts instead where there is one
    until: str = ""
    test: str = ""

    def query(self, *, before: str = "", **changes: str) -> str:
        """The address's query for the same with `changes`, from the delivery after `before` on."""
        fields = msgspec.to_builtins(msgspec.structs.replace(self, **changes))
        return urlencode(fields | ({"before": before} if before else {}))

    def wanted(self, now: float, sending: Sequence[str]) -> DeliveryFilter:
        """The filter. Raises `Invalid` with the field as its pointer."""
        for field, given in (("state", STATES), ("window", WINDOWS), ("test", TESTS)):
            if getattr(self, field) not in given:
                raise Invalid(f"Expected one of {', '.join(filter(None, given))}.", pointer=f"/{field}")
        if self.code and not _CODE.fullmatch(self.code):
            raise Invalid("A status has three digits: 100 to 999.", pointer="/code")
        if self.cause and not _CAUSE.fullmatch(self.cause):
            raise Invalid(f"Expected a status or one of {', '.join(CAUSES)}.", pointer="/cause")
        since, until = _moment(self.since, "since"), _moment(self.until, "until")
        return DeliveryFilter(
            destination_id=self.destination_id or None,
            event_id=self.event_id or None,
            event_name=self.event_name or None,
            state=None if self.state in ("", *_PENDING) else DeliveryState(self.state),
            retrying={"retrying": True, "untried": False}.get(self.state),
            cause=self.cause or None,
            code=int(self.code) if self.code else None,
            since=now - _SECONDS[self.window] if self.window else since,
            until=None if self.window else until,
            test={"yes": True, "no": False}.get(self.test),
            ids=tuple(sending) if self.state == "sending" else None,
        )

    def admits(self, note: Note) -> bool:
        """Whether the delivery of a note belongs into the list now, and perhaps did not before.

        Where the list does not ask how deliveries ended, only a new one does: an older one that moves on is no news.
        """
        equal = {
            "destination_id": note.destination_id,
            "event_name": note.event_name,
            "event_id": note.event_id,
            "code": str(note.code or ""),
            "cause": note.cause or "",
            "test": "yes" if note.test else "no",
        }
        if any(getattr(self, field) not in ("", value) for field, value in equal.items()):
            return False
        if self.until and not self.window:
            return False  # of a time that is over
        if self.state:
            return note.state is _STATES.get(self.state) and _was_tried(self.state) in (None, note.attempts > 0)
        return bool(self.code or self.cause) or note.attempts == 0


_PENDING = ("retrying", "untried", "sending")
_STATES = {
    **{state.value: state for state in DeliveryState if state is not DeliveryState.SENDING},
    "retrying": DeliveryState.PENDING,
    "untried": DeliveryState.PENDING,
}


def _moment(text: str, field: str) -> float | None:
    if not text:
        return None
    try:
        return given_moment(text)
    except ValueError as error:
        raise Invalid("Expected a time such as 2026-05-05T10:30:00Z.", pointer=f"/{field}") from error


def _was_tried(state: str) -> bool | None:
    return {"retrying": True, "untried": False}.get(state)


def narrowed(given: Mapping[str, str]) -> Narrowed:
    """What an address asks for; blanks around a value are an accident of pasting."""
    fields = {field: given.get(field, "").strip() for field in Narrowed.__struct_fields__}
    return Narrowed(**fields)
