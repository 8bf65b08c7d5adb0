"""What is known of users: read and written inside the transaction that accepts their events, so it is exact.

`profiles.traits` is JSON of `_Traits`, `profiles.consent` of category → [state, unix seconds].
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection, bindparam, select

from tracklayer.model.event import Json, encode_json
from tracklayer.model.facts import BY_EMAIL, NO_FACTS, FactKeys, Facts, Group, Traits
from tracklayer.model.profile import GROUP, Profile, ProfileUpdate, joined_consent, merge_profile
from tracklayer.pipeline.member import email_member
from tracklayer.store.database import Database, Statement
from tracklayer.store.tables import audience_members, profiles

FactsOf: TypeAlias = dict[tuple[str, FactKeys], Facts]
"""(workspace id, keys) → facts; for every key that was asked for."""


REMEMBERED = 4_096  # rows of profiles whose JSON need not be read again: somebody who is here makes event after event
LARGEST_REMEMBERED = 2_048  # bytes of such JSON


class _Traits(msgspec.Struct, frozen=True, omit_defaults=True):
    traits: dict[str, tuple[Json, float]] = {}
    group: tuple[str, float] | None = None


_decode_traits = msgspec.json.Decoder(_Traits, float_hook=Decimal).decode
_decode_consent = msgspec.json.Decoder(dict[str, tuple[str, float]]).decode

_NOBODY = Profile()


class _Kept(NamedTuple):
    """What stands in `profiles.traits`, and what there is to say of it each time that it is read."""

    traits: dict[str, tuple[Json, float]]
    group: tuple[str, float] | None
    known: Traits  # those that were not taken away
    member: str | None  # by what lists may name somebody whose e-mail address is among them


class _Known(NamedTuple):
    """A row of `profiles`. What it holds is not to be changed: the next one who reads the same gets the same."""

    kept: _Kept
    consent: dict[str, tuple[str, float]]

    @property
    def profile(self) -> Profile:
        """To merge with what is news."""
        return Profile(traits=self.kept.traits, group=self.kept.group, consent=self.consent)


_STRANGER = _Known(_Kept({}, None, Traits(), None), {})
_NO_LIST = frozenset[str]()


class FactsReader:
    """Reads what is known of many users at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._profiles = _Profiles(database)
        self._select_members = database.statement(
            select(audience_members.c.member, audience_members.c.audience).where(
                audience_members.c.workspace_id == bindparam("in_workspace"),
                database.one_of(audience_members.c.member, "keys"),
            )
        )

    def read(self, connection: Connection, wanted: Mapping[str, Collection[FactKeys]]) -> FactsOf:
        """The facts of users by workspace, at most three queries for each; of whom nothing is known, `NO_FACTS`."""
        found: FactsOf = {}
        for workspace_id, keys in wanted.items():
            users = self._profiles.read(connection, workspace_id, {user for each in keys for user in each.users})
            groups = self._groups(connection, workspace_id, keys, users)
            members = [_members(each, users) for each in keys]
            audiences = self._audiences(connection, workspace_id, {key for of in members for key in of})
            for each, names in zip(keys, members, strict=True):
                lists = [audiences[key] for key in names if key in audiences]
                listed = frozenset[str]().union(*lists) if lists else _NO_LIST
                found[workspace_id, each] = _facts(each, users, groups, listed)
        return found

    async def of(self, workspace_id: str, keys: FactKeys) -> Facts:
        """The facts of one user, as committed. Raises `Unavailable`."""
        found = await self._database.read(lambda connection: self.read(connection, {workspace_id: [keys]}))
        return found[workspace_id, keys]

    def _groups(
        self, connection: Connection, workspace_id: str, keys: Iterable[FactKeys], users: Mapping[str, _Known]
    ) -> dict[str, _Known]:
        named = {each.group for each in keys if each.group}
        named |= {user.kept.group[0] for user in users.values() if user.kept.group}
        return self._profiles.read(connection, workspace_id, {GROUP + group_id for group_id in named})

    def _audiences(self, connection: Connection, workspace_id: str, members: Collection[str]) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        if members:
            parameters = {"in_workspace": workspace_id, "keys": self._database.many(members)}
            for member, audience in self._select_members.all(connection, parameters):
                found.setdefault(member, set()).add(audience)
        return found


class ProfileWriter:
    """Keeps what events say of users."""

    def __init__(self, database: Database) -> None:
        self._profiles = _Profiles(database)
        row = database.insert(profiles)
        self._upsert = database.statement(
            row.on_conflict_do_update(
                index_elements=["workspace_id", "user_key"],
                set_={name: row.excluded[name] for name in ("traits", "consent", "updated_at")},
            )
        )

    def write(self, connection: Connection, updates: Mapping[str, Sequence[ProfileUpdate]]) -> None:
        """Merge `updates` (by workspace, in the order of their events) into what is kept; what says nothing new
        writes nothing."""
        for workspace_id, said in sorted(updates.items()):
            held = self._profiles.hold(connection, workspace_id, {each.user_key for each in said})
            known = {key: each.profile for key, each in held.items()}
            changed: dict[str, dict[str, object]] = {}
            for update in said:
                before = known.get(update.user_key, _NOBODY)
                after = merge_profile(before, update)
                if after is not before:
                    known[update.user_key] = after
                    changed[update.user_key] = _row(workspace_id, update.user_key, after)
            self._upsert.run(connection, (row for _, row in sorted(changed.items())))


class Memory:
    """What is known of users, within one transaction: what is remembered here is known from then on."""

    def __init__(self, connection: Connection, reader: FactsReader, writer: ProfileWriter) -> None:
        self._connection = connection
        self._reader = reader
        self._writer = writer

    def facts(self, wanted: Mapping[str, Collection[FactKeys]]) -> FactsOf:
        """See `FactsReader.read`."""
        return self._reader.read(self._connection, wanted)

    def remember(self, updates: Mapping[str, Sequence[ProfileUpdate]]) -> None:
        """See `ProfileWriter.write`."""
        self._writer.write(self._connection, updates)


class _Profiles:
    """Whole profiles, by key.

    Where other processes write, too, whoever is about to change profiles holds their rows until the end of the
    transaction, also the ones that are only made by this: or of two who merge at once, one would be forgotten.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        wanted = select(profiles.c.user_key, profiles.c.traits, profiles.c.consent).where(
            profiles.c.workspace_id == bindparam("in_workspace"), database.one_of(profiles.c.user_key, "keys")
        )
        self._select = database.statement(wanted)
        self._select_held = database.statement(wanted.order_by(profiles.c.user_key).with_for_update())
        self._make = database.statement(database.insert(profiles).on_conflict_do_nothing())

    def read(self, connection: Connection, workspace_id: str, keys: Collection[str]) -> dict[str, _Known]:
        return self._read(self._select, connection, workspace_id, keys) if keys else {}

    def hold(self, connection: Connection, workspace_id: str, keys: Collection[str]) -> dict[str, _Known]:
        """As `read`, for those who are going to write."""
        if not self._database.shared:
            return self.read(connection, workspace_id, keys)
        held = self._read(self._select_held, connection, workspace_id, keys)
        if missing := sorted(set(keys) - held.keys()):
            self._make.run(connection, [_row(workspace_id, key, _NOBODY) for key in missing])
            held |= self._read(self._select_held, connection, workspace_id, missing)
        return held

    def _read(
        self, statement: Statement, connection: Connection, workspace_id: str, keys: Collection[str]
    ) -> dict[str, _Known]:
        rows = statement.all(connection, {"in_workspace": workspace_id, "keys": self._database.many(keys)})
        return {key: _known(traits, consent) for key, traits, consent in rows}


def _known(traits: bytes | None, consent: bytes | None) -> _Known:
    kept = _STRANGER.kept
    if traits:
        kept = _remembered(traits) if len(traits) <= LARGEST_REMEMBERED else _kept(traits)
    return _Known(kept, _decode_consent(consent) if consent else {})


def _kept(traits: bytes) -> _Kept:
    read = _decode_traits(traits)
    known = Traits({name: value for name, (value, _) in read.traits.items() if value is not None})
    return _Kept(read.traits, read.group, known, email_member(known))


_remembered = lru_cache(maxsize=REMEMBERED)(_kept)


def _row(workspace_id: str, key: str, profile: Profile) -> dict[str, object]:
    times = [at for _, at in (*profile.traits.values(), *profile.consent.values())]
    return {
        "workspace_id": workspace_id,
        "user_key": key,
        "traits": encode_json(_Traits(profile.traits, profile.group)) if profile.traits or profile.group else None,
        "consent": encode_json(profile.consent) if profile.consent else None,
        "updated_at": max([*times, *([profile.group[1]] if profile.group else [])], default=0.0),
    }


def _members(keys: FactKeys, users: Mapping[str, _Known]) -> Collection[str]:
    """By what lists may name a user; the e-mail address may be known although the event does not tell it."""
    if keys.members is None:
        return ()
    user = users.get(keys.users[0]) if keys.users else None
    if user is None or user.kept.member is None or any(key.startswith(BY_EMAIL) for key in keys.members):
        return keys.members
    return (*keys.members, user.kept.member)


def _facts(
    keys: FactKeys,
    users: Mapping[str, _Known],
    groups: Mapping[str, _Known],
    listed: frozenset[str],
) -> Facts:
    known = [users[key] for key in keys.users if key in users]
    user = users.get(keys.users[0], _STRANGER) if keys.users else _STRANGER
    group_id = keys.group or (user.kept.group[0] if user.kept.group else None)
    if group_id is None and not listed and not known:
        return NO_FACTS
    group = None
    if group_id is not None:
        group = Group(id=group_id, traits=dict(groups.get(GROUP + group_id, _STRANGER).kept.known))
    return Facts(
        traits=user.kept.known,
        group=group,
        consent=joined_consent([each.consent for each in known]),
        audiences=listed,
    )
