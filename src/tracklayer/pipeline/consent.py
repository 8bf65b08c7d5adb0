"""Whether the user's consent lets an event go to a destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tracklayer.model.destination import Consent
from tracklayer.model.event import Json


@dataclass(frozen=True, slots=True)
class ConsentVerdict:
    """`reason` names every category that is not granted; None where all are, or none is required."""

    allowed: bool
    reason: str | None = None


def evaluate_consent(policy: Consent | None, granted: Mapping[str, Json]) -> ConsentVerdict:
    """Hold a destination's `policy` against the event's consent (category to "granted" or "denied").

    A category that is absent or says neither is unknown: `when_unknown` decides. A denied one denies, whatever else is
    granted. Where an unknown category is let through, the verdict allows and still says why.
    """
    if policy is None:
        return ConsentVerdict(True)
    states = {category: _state(granted.get(category)) for category in policy.requires}
    missing = {category: state for category, state in states.items() if state != "granted"}
    if not missing:
        return ConsentVerdict(True)
    allowed = policy.when_unknown == "allow" and "denied" not in missing.values()
    words = {"denied": "denied", "unknown": f"unknown (when_unknown is {policy.when_unknown})"}
    return ConsentVerdict(allowed, "; ".join(f"{category} is {words[state]}" for category, state in missing.items()))


def _state(value: Json) -> Literal["granted", "denied", "unknown"]:
    if value is True or value == "granted":
        return "granted"
    if value is False or value == "denied":
        return "denied"
    return "unknown"
