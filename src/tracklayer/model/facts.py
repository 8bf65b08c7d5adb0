"""What is known of an event's user beside what the event says: read in the transaction that accepts the event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from tracklayer.model.event import Event, Json
from tracklayer.model.profile import group_key, profile_keys

BY_ID = "id:"  # begins the key of a member of an audience who is known by `external_id`
BY_EMAIL = "email:"  # … by the hash of the e-mail


class Traits(dict[str, Json]):
    """Traits as they are known of somebody: nobody changes them, and who comes again has the very same.

    So what follows from them can be remembered by the object that they are.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]  # a dictionary has none


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The group (company, account) that a user belongs to."""

    id: str
    traits: dict[str, Json] = {}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one user; empty where nothing is."""

    traits: dict[str, Json] = {}  # `Traits` where the store will give the very same again
    group: Group | None = None
    consent: dict[str, tuple[str, float]] = {}  # category → "granted" | "denied", and when it was said (unix seconds)
    audiences: frozenset[str] = frozenset()  # the static audiences that list this user


NO_FACTS = Facts(traits=Traits())


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
        users=profile_keys(event.user_data),
        group=group_id if group_key(group_id) else None,
        members=member_keys(event.user_data) if members else None,
    )


def member_keys(user_data: Mapping[str, Json]) -> tuple[str, ...]:
    """The keys under which an audience may list this user."""
    external_id, email_hash = user_data.get("external_id"), user_data.get("email_hash")
    by_id = (BY_ID + external_id,) if type(external_id) is str and external_id else ()
    return (*by_id, BY_EMAIL + email_hash) if type(email_hash) is str and email_hash else by_id
