"""What a user consents to, and whether that lets an event go to a destination.

Who is heard, from the strongest on:
1. Global Privacy Control denies the categories of ads. A "granted" in the same event does not help: it comes from a
   page's tag manager, which may know nothing of the browser's signal, and the signal is the user's own.
2. What the event says, at the time when it happened.
3. What is remembered of the user. It fills in what the event does not say; and a denial that is newer than the event
   wins, because consent was withdrawn since. A newer grant does not: it does not reach back to what was collected
   under a denial.
4. The workspace's default for the user's region. Anything that the user ever said counts over it.

Of a category of which the event says what cannot be read, no grant of before and by default counts: it is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import msgspec

from tracklayer.model.destination import Consent
from tracklayer.model.event import Event, Json
from tracklayer.model.moment import parse_rfc3339, rfc3339
from tracklayer.model.rules import ConsentState
from tracklayer.pipeline.changes import free_name
from tracklayer.pipeline.consent_signals import (
    AD_CATEGORIES,
    States,
    category_of,
    consent_signals,
    says_gpc,
    strictest,
    unread_categories,
)
from tracklayer.pipeline.regions import EVERYWHERE, ConsentDefaults

Remembered = Mapping[str, tuple[str, float]]
"""Category → "granted" or "denied", and when the user said so (unix seconds)."""

_OURS = ("by", "at", "categories")  # of `context.consent`; what else is there is the sender's
_WORDS: Mapping[Json, ConsentState] = {"granted": "granted", "denied": "denied", True: "granted", False: "denied"}


class Standing(NamedTuple):
    """Where one category stands, and who says so."""

    state: ConsentState
    by: str  # "event", "gpc", "profile", or "default:EEA" with the region
    at: float | None = None  # unix seconds, when it was said; None of a default


class Resolved(NamedTuple):
    """Everything that is known of a user's consent when an event comes in."""

    standings: dict[str, Standing]
    to_remember: States  # what the event itself says: news for the user's profile

    @property
    def states(self) -> dict[str, Json]:
        """Category → "granted" or "denied", for the event's `consent`."""
        return {category: standing.state for category, standing in self.standings.items()}

    @property
    def provenance(self) -> dict[str, Json]:
        """For `context.consent`: `by` and `at`; where categories differ, `by` is "mixed" and `categories` has each."""
        told: dict[tuple[str, float | None], dict[str, Json]] = {}
        each: dict[str, Json] = {}
        maker, newest, written = "", None, None
        for category, (_, by, at) in self.standings.items():
            source = told.get((by, at))
            if source is None:
                source = told[by, at] = {"by": by, "at": None if at is None else rfc3339(at)}
                maker = by if maker in ("", by) else "mixed"
                if at is not None and (newest is None or at > newest):
                    newest, written = at, source["at"]
            each[category] = source
        if len(told) < 2:
            return next(iter(told.values()), {})
        return {"by": maker, "at": written, "categories": each}


def resolve_consent(
    given: Mapping[str, ConsentState],
    signals: Mapping[str, ConsentState],
    remembered: Remembered,
    defaults: Mapping[str, tuple[ConsentState, str]],
    *,
    gpc: bool,
    at: float,
    unread: frozenset[str] = frozenset(),
) -> Resolved:
    """Make one state of every category (see the head of this module).

    `given` is the event's own consent and `signals` what its context tells, both said at `at` (unix seconds);
    `defaults` are those of the user's region (see `ConsentDefaults.of`), and `unread` the categories of which the event
    says what cannot be read.
    """
    said = dict(given)
    if signals or gpc:
        said = strictest(said, signals, dict.fromkeys(AD_CATEGORIES, "denied") if gpc else {})
    by_event = {state: Standing(state, "event", at) for state in said.values()}
    standings = {category: by_event[state] for category, state in said.items()}
    if gpc:
        standings |= dict.fromkeys(AD_CATEGORIES, Standing("denied", "gpc", at))
    for category, (state, region) in defaults.items():
        if category not in standings:
            standings[category] = _by_default(state, region)
    return Resolved(standings=_heard(standings, remembered, unread), to_remember=said)


class Consented(NamedTuple):
    """An event with its consent, and what it tells of its user."""

    event: Event
    to_remember: States  # category → state; empty where the event says nothing
    at: float  # unix seconds, when it was said, never in the future; means nothing where nothing was said


def with_consent(
    event: Event,
    remembered: Remembered,
    defaults: ConsentDefaults,
    *,
    gpc: bool = False,
) -> Consented:
    """A normalized and enriched `event` with everything that is known of its user's consent on it.

    `defaults` are the workspace's; `gpc`: the request came with the header `Sec-GPC: 1`. An event of
    which nothing is known is answered as it is. The rest of `context.consent` stays.
    """
    context = event.context
    gpc = gpc or says_gpc(context)
    by_default = defaults.of(event.user_data, context)
    signals = consent_signals(context)
    if not (event.consent or signals or remembered or by_default or gpc):
        return Consented(event, {}, 0.0)
    at = _moment_of(event.received_at)
    if event.occurred_at != event.received_at:
        at = min(at, parse_rfc3339(event.occurred_at))
    unread = unread_categories(context)
    resolved = resolve_consent(_plain(event.consent), signals, remembered, by_default, gpc=gpc, at=at, unread=unread)
    kept = context.get("consent")
    if kept is not None and type(kept) is not dict:
        context = {**context, free_name(context, "consent"): kept}
        kept = None
    theirs = {name: value for name, value in kept.items() if name not in _OURS} if kept else {}
    context = {**context, "consent": theirs | resolved.provenance}
    return Consented(msgspec.structs.replace(event, consent=resolved.states, context=context), resolved.to_remember, at)


def compile_defaults(by_region: Mapping[str, Mapping[str, ConsentState]]) -> ConsentDefaults:
    """The `consent_defaults` of a workspace's rules, their categories in any spelling; of two, "denied" counts."""
    return ConsentDefaults(
        {
            region: strictest(*({category_of(name): state} for name, state in states.items()))
            for region, states in by_region.items()
        }
    )


def consent_now(event: Event, remembered: Remembered) -> dict[str, Standing]:
    """What a stored event's user consents to by now, with what is `remembered` by now."""
    return _heard(_on_the_event(event), remembered, unread_categories(event.context))


@dataclass(frozen=True, slots=True)
class ConsentVerdict:
    """`reason` names every category that is not granted; None where all are, or none is required.

    `redact` has the paths without which the event may go, as it stands on a policy that sends it all the same.
    """

    allowed: bool
    reason: str | None = None
    redact: tuple[str, ...] = ()

    @property
    def redaction(self) -> str | None:
        """For people: what is left out, and why."""
        return f"sent with {', '.join(self.redact)} redacted: {self.reason}" if self.redact else None


def evaluate_consent(policy: Consent | None, standings: Mapping[str, Standing]) -> ConsentVerdict:
    """Hold a destination's `policy` against where the user's consent stands.

    A category that is absent is unknown: `when_unknown` decides. A denied one denies, whatever else is granted;
    `when_denied` says whether the event then stays, or goes without some fields. Where an unknown category is let
    through, the verdict allows and still says why.
    """
    if policy is None:
        return ConsentVerdict(True)
    missing = {
        category: standing
        for category in map(category_of, policy.requires)
        if (standing := standings.get(category)) is None or standing.state != "granted"
    }
    if not missing:
        return ConsentVerdict(True)
    reason = "; ".join(
        denial(category, standing) if standing else f"{category} is unknown (when_unknown is {policy.when_unknown})"
        for category, standing in missing.items()
    )
    if policy.when_unknown == "allow" and all(standing is None for standing in missing.values()):
        return ConsentVerdict(True, reason)
    if policy.when_denied == "redact":
        return ConsentVerdict(True, reason, tuple(policy.redact or ()))
    return ConsentVerdict(False, reason)


def denial(category: str, standing: Standing) -> str:
    """For people: that a category is denied, and by whom."""
    by, _, region = standing.by.partition(":")
    since = f", remembered since {rfc3339(standing.at)}" if standing.at is not None else ""
    whom = {
        "event": "the event",
        "gpc": "Global Privacy Control",
        "profile": f"the user{since}",
        "default": f"the default of {'every region' if region == EVERYWHERE else region}",
    }
    return f"{category} is denied by {whom.get(by, by)}"


def _heard(standings: dict[str, Standing], remembered: Remembered, unread: frozenset[str]) -> dict[str, Standing]:
    """`standings` with what is remembered, where that is to be heard. Of what is `unread` only a denial is, and what
    the event says elsewhere.
    """
    heard = _with_memory(standings, remembered) if remembered else standings
    if unread.isdisjoint(heard):
        return heard
    return {
        category: standing
        for category, standing in heard.items()
        if category not in unread or standing.state == "denied" or standing.by == "event"
    }


def _with_memory(standings: dict[str, Standing], remembered: Remembered) -> dict[str, Standing]:
    news: dict[str, Standing] = {}
    for category, (state, at) in remembered.items():
        known = standings.get(category)
        if known is not None and known.state == state and known.at is not None:
            continue  # it says the same, as it mostly does
        if state in ("granted", "denied") and _counts(state, at, known):
            news[category] = Standing("denied" if state == "denied" else "granted", "profile", at)
    return {**standings, **news} if news else standings


@lru_cache(maxsize=1_024)
def _by_default(state: ConsentState, region: str) -> Standing:
    return Standing(state, f"default:{region}")


def _counts(state: str, at: float, known: Standing | None) -> bool:
    """Whether what is remembered counts over what stands on the event and says something else."""
    if known is None or known.at is None:  # nothing, or only a default
        return True
    return at >= known.at if state == "denied" else known.by == "profile" and at > known.at


def _on_the_event(event: Event) -> dict[str, Standing]:
    """Where the categories stood when the event was stored."""
    source = event.context.get("consent")
    source = source if type(source) is dict else {}
    each = source.get("categories")
    each = each if type(each) is dict else {}
    happened_at = parse_rfc3339(event.occurred_at)
    found = {}
    for category, state in _plain(event.consent).items():
        told = each.get(category, source)
        told = told if type(told) is dict else {}
        by, at = told.get("by"), _moment(told.get("at"))
        if type(by) is str and (at is not None or by.startswith("default:")):
            found[category] = Standing(state, by, at)
        else:  # stored by a version that knew nothing of memory and defaults
            found[category] = Standing(state, "event", happened_at)
    return found


def _moment(value: Json) -> float | None:
    try:
        return parse_rfc3339(value) if type(value) is str else None
    except ValueError:
        return None


def _plain(consent: Mapping[str, Json]) -> States:
    return {
        category: _WORDS[said] for category, said in consent.items() if type(said) in (str, bool) and said in _WORDS
    }


_moment_of = lru_cache(maxsize=1_024)(parse_rfc3339)  # the same again and again: when all of a batch was received
