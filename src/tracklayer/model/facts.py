"""What is known of an event's user beside what the event says: read in the transaction that accepts the event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tracklayer.model.event import Event, Json
from tracklayer.model.profile import consent_keys, group_key

BY_ID = "id:"  # begins the key of a member of an audience who is known by `external_id`
BY_EMAIL = "email:"  # … by the hash of the e-mail


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The group (company, account) that a user belongs to."""

    id: str
    traits: dict[str, Json] = {}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one user; empty where nothing is."""

    traits: dict[str, Json] = {}
    group: Group | None = None
    consent: dict[str, tuple[str, float]] = {}  # category → "granted" | "denied", and when it was said (unix seconds)
    audiences: frozenset[str] = frozenset()  # the static audiences that list this user


NO_FACTS = Facts()


class FactKeys(NamedTuple):
    """By what the facts of an event's user are found."""

    users: tuple[str, ...]  # the keys of profiles, the surest first: its traits count, and the consent of all
    group: str | None  # the id of a group that the event itself names
    members: tuple[str, ...] | None  # the keys of members of audiences; None: no list is to be asked

    @property
    def any(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self.users) or self.group is not None or bool(self.members)


def fact_keys(event: Event, *, members: bool = True) -> FactKeys:
    """The keys of an event's user. `members` False: the workspace has no static audience, so none is to be asked."""
    group = event.context.get("group")
    group_id = group.get("id") if isinstance(group, dict) else None
    return FactKeys(
        users=consent_keys(event.user_data),
        group=group_id if group_key(group_id) else None,
        members=member_keys(event.user_data) if members else None,
    )


def member_keys(user_data: Mapping[str, Json]) -> tuple[str, ...]:
    """The keys under which an audience may list this user."""
    found = ((BY_ID, user_data.get("external_id")), (BY_EMAIL, user_data.get("email_hash")))
    return tuple(prefix + value for prefix, value in found if type(value) is str and value)
