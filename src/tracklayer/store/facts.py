"""What is known of users: read and written inside the transaction that accepts their events, so it is exact.

`profiles.traits` is JSON of `_Traits`, `profiles.consent` of category → [state, unix seconds].
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import msgspec
from sqlalchemy import Connection, bindparam, literal, select

from tracklayer.model.event import Json, encode_json
from tracklayer.model.facts import BY_EMAIL, NO_FACTS, FactKeys, Facts, Group, Traits
from tracklayer.model.profile import GROUP, Profile, ProfileUpdate, joined_consent, merge_profile
from tracklayer.pipeline.member import email_member
from tracklayer.store.database import Database, Statement
from tracklayer.store.tables import audience_members, profiles

FactsOf: TypeAlias = dict[tuple[str, FactKeys], Facts]
"""(workspace id, keys) → facts; for every key that was asked for."""


LOOKS = 3  # for profiles to hold: one does, unless somebody else makes or prunes them just now
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
            database.look_up(
                select(audience_members.c.member, audience_members.c.audience).where(
                    audience_members.c.workspace_id == bindparam("in_workspace")
                ),
                audience_members.c.member,
                "keys",
            )
        )

    def read(self, connection: Connection, wanted: Mapping[str, Collection[FactKeys]]) -> FactsOf:
        """The facts of users by workspace, at most three queries for each; of whom nothing is known, `NO_FACTS`."""
        return self.of_those(_Users(connection, self._profiles), wanted)

    async def of(self, workspace_id: str, keys: FactKeys) -> Facts:
        """The facts of one user, as committed. Raises `Unavailable`."""
        found = await self._database.read(lambda connection: self.read(connection, {workspace_id: [keys]}))
        return found[workspace_id, keys]

    def of_those(self, known: _Users, wanted: Mapping[str, Collection[FactKeys]]) -> FactsOf:
        """As `read`, out of what a transaction knows already; what it does not is read."""
        found: FactsOf = {}
        for workspace_id, keys in wanted.items():
            users = known.get(workspace_id, {user for each in keys for user in each.users})
            named = {each.group for each in keys if each.group}
            named |= {user.kept.group[0] for user in users.values() if user.kept.group}
            groups = known.get(workspace_id, {GROUP + group_id for group_id in named})
            members = [_members(each, users) for each in keys]
            audiences = self._audiences(known.connection, workspace_id, {key for of in members for key in of})
            for each, names in zip(keys, members, strict=True):
                lists = [audiences[key] for key in names if key in audiences]
                listed = frozenset[str]().union(*lists) if lists else _NO_LIST
                found[workspace_id, each] = _facts(each, users, groups, listed)
        return found

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

    def write(self, connection: Connection, updates: Mapping[str, Sequence[ProfileUpdate]]) -> None:
        """Merge `updates` (by workspace, in the order of their events) into what is kept; what says nothing new
        writes nothing."""
        users = _Users(connection, self._profiles)
        users.merge(updates)
        users.write()


class Memory:
    """What is known of users, within one transaction: what is remembered here is known from then on, and `write`
    stores it. Each profile is read and written once, however many events are of the same user.
    """

    def __init__(self, connection: Connection, reader: FactsReader, profiles: _Profiles) -> None:
        self._reader = reader
        self._users = _Users(connection, profiles)

    def facts(self, wanted: Mapping[str, Collection[FactKeys]]) -> FactsOf:
        """See `FactsReader.read`."""
        return self._reader.of_those(self._users, wanted)

    def remember(self, updates: Mapping[str, Sequence[ProfileUpdate]]) -> None:
        """Merge `updates`, by workspace and in the order of their events, into what is known."""
        self._users.merge(updates)

    def write(self) -> None:
        """Store what has changed."""
        self._users.write()


class Memories:
    """Makes a `Memory` for each transaction."""

    def __init__(self, database: Database) -> None:
        self._reader = FactsReader(database)
        self._profiles = _Profiles(database)

    def within(self, connection: Connection) -> Memory:
        """Of the transaction of `connection`."""
        return Memory(connection, self._reader, self._profiles)


_Key: TypeAlias = tuple[str, str]  # workspace id, key of a profile


class _Users:
    """The profiles that one transaction has read, and what it is about to change in them.

    Where other processes write, too, whoever is about to change profiles holds their rows until the end of the
    transaction, also the ones that are only made by this: or of two who merge at once, one would be forgotten.
    """

    def __init__(self, connection: Connection, profiles: _Profiles) -> None:
        self.connection = connection
        self._profiles = profiles
        self._known: dict[_Key, _Known | None] = {}  # None: there is none
        self._held: set[_Key] = set()
        self._changed: dict[_Key, Profile] = {}

    def get(self, workspace_id: str, keys: Collection[str]) -> dict[str, _Known]:
        """Those that there are."""
        missing = [key for key in keys if (workspace_id, key) not in self._known]
        if missing:
            self._learn(workspace_id, missing, self._profiles.read(self.connection, workspace_id, missing))
        found = {key: self._known[workspace_id, key] for key in keys}
        return {key: known for key, known in found.items() if known is not None}

    def merge(self, updates: Mapping[str, Sequence[ProfileUpdate]]) -> None:
        """Change what is known by what is said."""
        for workspace_id, said in sorted(updates.items()):
            self._hold(workspace_id, {each.user_key for each in said})
            for update in said:
                key = (workspace_id, update.user_key)
                known = self._known[key]
                before = _NOBODY if known is None else known.profile
                after = merge_profile(before, update)
                if after is not before:
                    self._changed[key] = after
                    self._known[key] = _as_known(after, known)

    def write(self) -> None:
        """Store what has changed."""
        self._profiles.write(self.connection, (_row(*key, self._changed[key]) for key in sorted(self._changed)))

    def _hold(self, workspace_id: str, keys: Collection[str]) -> None:
        if not self._profiles.shared:
            self.get(workspace_id, keys)
            return
        loose = [key for key in keys if (workspace_id, key) not in self._held]
        if loose:
            self._learn(workspace_id, loose, self._profiles.hold(self.connection, workspace_id, loose))
            self._held.update((workspace_id, key) for key in loose)

    def _learn(self, workspace_id: str, keys: Iterable[str], found: Mapping[str, _Known]) -> None:
        for key in keys:
            self._known[workspace_id, key] = found.get(key)


class _Profiles:
    """The statements: whole profiles, by key."""

    def __init__(self, database: Database) -> None:
        self.shared = database.shared
        self._database = database
        of = profiles.c
        wanted = select(of.user_key, of.traits, of.consent).where(of.workspace_id == bindparam("in_workspace"))
        self._select = database.statement(database.look_up(wanted, of.user_key, "keys"))
        row = database.insert_rows(profiles)
        self._upsert = database.rows_statement(
            row.on_conflict_do_update(
                index_elements=["workspace_id", "user_key"],
                set_={name: row.excluded[name] for name in ("traits", "consent", "updated_at")},
            )
        )
        if database.shared:
            held = database.look_up(wanted.with_for_update(), of.user_key, "keys").cte("held")
            strangers = database.row_of(keys=of.user_key.type)["keys"]
            made = (
                database.insert(profiles)
                .from_select(
                    ["workspace_id", "user_key", "updated_at"],
                    select(bindparam("in_workspace", type_=of.workspace_id.type), strangers, literal(0.0)).where(
                        strangers.not_in(select(held.c.user_key))
                    ),
                )
                .on_conflict_do_nothing()
                .returning(of.user_key, of.traits, of.consent)
                .cte("made")
            )
            self._hold = database.statement(select(held).union_all(select(made)))

    def read(self, connection: Connection, workspace_id: str, keys: Collection[str]) -> dict[str, _Known]:
        return self._read(self._select, connection, workspace_id, keys) if keys else {}

    def hold(self, connection: Connection, workspace_id: str, keys: Collection[str]) -> dict[str, _Known]:
        """All of them, locked in order, and made where they were not there."""
        held: dict[str, _Known] = {}
        for _ in range(LOOKS):
            if missing := sorted(set(keys) - held.keys()):
                held |= self._read(self._hold, connection, workspace_id, missing)
        return held

    def write(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        self._upsert.run(connection, rows)

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
    return _kept_of(read.traits, read.group)


def _kept_of(traits: dict[str, tuple[Json, float]], group: tuple[str, float] | None) -> _Kept:
    known = Traits({name: value for name, (value, _) in traits.items() if value is not None})
    return _Kept(traits, group, known, email_member(known))


def _as_known(profile: Profile, before: _Known | None) -> _Known:
    """A profile as it will be read again."""
    if before is not None and profile.traits is before.kept.traits and profile.group == before.kept.group:
        return _Known(before.kept, profile.consent)
    return _Known(_kept_of(profile.traits, profile.group), profile.consent)


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
