"""What a cause of failure means for people, and where it is mended. No dead end: every cause names a next step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple
from urllib.parse import quote

from tracklayer.model.work import SUCCESS_RULE

Mend = Literal["secret", "transport", "template", "retry", "wait"]


class Meaning(NamedTuple):
    """A cause in words: `name` short, `sentence` what it means; `mends` where to look, the likeliest first."""

    name: str
    sentence: str
    mends: tuple[Mend, ...]


class Way(NamedTuple):
    """A way on: words for a link, and its address."""

    text: str
    path: str


_CODES = {
    "400": Meaning("400", "The receiver does not understand the request.", ("template", "transport")),
    "401": Meaning("401", "The receiver does not accept the credentials.", ("secret", "transport")),
    "403": Meaning("403", "The receiver does not allow this request.", ("secret", "transport")),
    "404": Meaning("404", "There is nothing at this URL.", ("transport",)),
    "405": Meaning("405", "The receiver does not take this method.", ("transport",)),
    "408": Meaning("408", "The receiver waited too long for the request.", ("wait", "retry")),
    "409": Meaning("409", "The receiver says that this conflicts with what it has.", ("template", "retry")),
    "410": Meaning("410", "The receiver says that this URL is gone for good.", ("transport",)),
    "413": Meaning("413", "The body is too large for the receiver.", ("template",)),
    "415": Meaning("415", "The receiver does not take this content type.", ("transport", "template")),
    "422": Meaning("422", "The receiver refuses what the body says.", ("template",)),
    "429": Meaning("429", "The receiver is asked more often than it allows.", ("retry", "wait")),
    SUCCESS_RULE: Meaning(
        "success rule", "The receiver answered 2xx, but not what counts as success here.", ("template", "retry")
    ),
    "dns": Meaning("DNS", "The name of the receiver was not found.", ("transport", "wait")),
    "connect": Meaning("connection", "No connection could be made.", ("wait", "transport")),
    "tls": Meaning("TLS", "The receiver's certificate was not accepted, or TLS failed.", ("transport", "wait")),
    "timeout": Meaning("timeout", "The receiver did not answer in time.", ("wait", "transport")),
    "reset": Meaning("reset", "The receiver cut the connection.", ("wait", "transport")),
    "protocol": Meaning("protocol", "The answer was not HTTP as it should be.", ("transport", "wait")),
    "refused_address": Meaning(
        "refused address", "The receiver has a private address, which TRACKLAYER_ALLOW_NETWORKS does not allow.",
        ("transport",),
    ),
    "render": Meaning("render", "The request could not be rendered from this event.", ("template", "transport")),
    "validate": Meaning("validate", "The rendered request is not one that may be sent.", ("template",)),
    "internal": Meaning("internal", "Something went wrong on our side; the server's log has it.", ("wait",)),
    "unknown": Meaning("unknown", "The cause was not recorded.", ("wait",)),
}  # fmt: skip


def meaning(cause: str) -> Meaning:
    """What a cause means: a status code as text, or a kind of failure."""
    found = _CODES.get(cause)
    if found is not None:
        return found
    if cause[:1] == "5":
        return Meaning(cause, "The receiver failed.", ("wait", "retry"))
    if cause[:1] == "3":
        return Meaning(
            cause,
            "The receiver points elsewhere. Redirects are never followed: use the address itself.",
            ("transport",),
        )
    if cause[:1] == "4":
        return Meaning(cause, "The receiver refuses the request.", ("template", "transport"))
    return Meaning(cause, "The attempt failed.", ("wait",))


def mends_of(cause: str, error: str | None) -> Sequence[Mend]:
    """Where a cause is mended, the likeliest first; `error`: what one attempt said of it."""
    return ("secret", "transport") if cause == "render" and _LACKING in (error or "") else meaning(cause).mends


def ways(destination_id: str, mends: Sequence[Mend], *, event_id: str | None, back: str) -> list[Way]:
    """Where a cause is mended, the likeliest first; the editor has this very event as its sample, and leads `back`."""
    returning = f"return={quote(back, safe='')}"
    sample = "" if event_id is None else f"event={quote(event_id, safe='')}&"
    edit = f"/settings/destinations/{destination_id}/edit?{sample}{returning}"
    known = {
        "secret": Way("Change the secret", f"/settings/secrets?{returning}"),
        "transport": Way("Edit the transport", f"{edit}#transport"),
        "template": Way("Edit the template", f"{edit}#template"),
        "retry": Way("Edit the retry policy", f"{edit}#retry"),
    }
    return [known[mend] for mend in mends if mend != "wait"]


def field_to_change(cause: str) -> str:
    """The field of the editor in which a cause is mended, most likely; empty where nothing of ours mends it."""
    mends = meaning(cause).mends
    return _FIELDS.get(cause) or next((_FIELD_OF[mend] for mend in mends if mend in _FIELD_OF), "")


_LACKING = "there is no secret "  # as the renderer says it
_FIELDS = {"405": "method", "415": "headers", "429": "rate", "timeout": "timeout", SUCCESS_RULE: "body_equals"}
_FIELD_OF: dict[Mend, str] = {"secret": "headers", "transport": "url", "template": "template"}
