"""The profiles that one transaction reads, holds and changes.

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
from tracklayer.model.facts import Traits
from tracklayer.model.profile import Profile, ProfileUpdate, merge_profile
from tracklayer.pipeline.member import email_member
from tracklayer.store.database import Database, Statement
from tracklayer.store.tables import profiles

LOOKS = 3  # for profiles to hold: one does, unless somebody else makes or prunes them just now
REMEMBERED = 4_096  # rows of profiles whose JSON need not be read again: somebody who is here makes event after event
LARGEST_REMEMBERED = 2_048  # bytes of such JSON


class _Traits(msgspec.Struct, frozen=True, omit_defaults=True):
    traits: dict[str, tuple[Json, float]] = {}
    group: tuple[str, float] | None = None
    owner: tuple[str, float] | None = None


_decode_traits = msgspec.json.Decoder(_Traits, float_hook=Decimal).decode
_decode_consent = msgspec.json.Decoder(dict[str, tuple[str, float]]).decode

_NOBODY = Profile()


class Kept(NamedTuple):
    """What stands in `profiles.traits`, and what there is to say of it each time that it is read."""

    traits: dict[str, tuple[Json, float]]
    group: tuple[str, float] | None
    owner: tuple[str, float] | None
    known: dict[str, Json]  # those that were not taken away; `Traits` where they will be met again
    member: str | None  # by what lists may name somebody whose e-mail address is among them


class KnownUser(NamedTuple):
    """A row of `profiles`. What it holds is not to be changed: the next one who reads the same gets the same."""

    kept: Kept
    consent: dict[str, tuple[str, float]]

    @property
    def profile(self) -> Profile:
        """To merge with what is news."""
        kept = self.kept
        return Profile(traits=kept.traits, group=kept.group, consent=self.consent, owner=kept.owner)


STRANGER = KnownUser(Kept({}, None, None, Traits(), None), {})
_Key: TypeAlias = tuple[str, str]  # workspace id, key of a profile


class Users:
    """The profiles that one transaction has read, and what it is about to change in them.

    Where other processes write, too, whoever is about to change profiles holds their rows until the end of the
    transaction, also the ones that are only made by this: or of two who merge at once, one would be forgotten.
    """

    def __init__(self, connection: Connection, profiles: ProfileRows) -> None:
        self.connection = connection
        self._profiles = profiles
        self._known: dict[str, dict[str, KnownUser | None]] = {}  # by workspace, then by key; None: there is none
        self._held: set[_Key] = set()
        self._changed: dict[_Key, Profile] = {}

    def get(self, workspace_id: str, keys: Iterable[str]) -> Mapping[str, KnownUser | None]:
        """What is known by now in that workspace, of all of `keys` and of whom was asked before; None: nothing is."""
        known = self._known.setdefault(workspace_id, {})
        missing = [key for key in keys if key not in known]
        if missing:
            self._learn(known, missing, self._profiles.read(self.connection, workspace_id, missing))
        return known

    def merge(self, updates: Mapping[str, Sequence[ProfileUpdate]]) -> None:
        """Change what is known by what is said."""
        for workspace_id, said in sorted(updates.items()):
            known = self._hold(workspace_id, {each.user_key for each in said})
            for update in said:
                user = known[update.user_key]
                before = _NOBODY if user is None else user.profile
                after = merge_profile(before, update)
                if after is not before:
                    self._changed[workspace_id, update.user_key] = after
                    known[update.user_key] = _as_known(after, user)

    def write(self) -> None:
        """Store what has changed."""
        self._profiles.write(self.connection, (_row(*key, self._changed[key]) for key in sorted(self._changed)))

    def _hold(self, workspace_id: str, keys: Collection[str]) -> dict[str, KnownUser | None]:
        if not self._profiles.shared:
            self.get(workspace_id, keys)
            return self._known[workspace_id]
        known = self._known.setdefault(workspace_id, {})
        loose = [key for key in keys if (workspace_id, key) not in self._held]
        if loose:
            self._learn(known, loose, self._profiles.hold(self.connection, workspace_id, loose))
            self._held.update((workspace_id, key) for key in loose)
        return known

    @staticmethod
    def _learn(known: dict[str, KnownUser | None], keys: Iterable[str], found: Mapping[str, KnownUser]) -> None:
        for key in keys:
            known[key] = found.get(key)


class ProfileRows:
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

    def read(self, connection: Connection, workspace_id: str, keys: Collection[str]) -> dict[str, KnownUser]:
        return self._read(self._select, connection, workspace_id, keys) if keys else {}

    def hold(self, connection: Connection, workspace_id: str, keys: Collection[str]) -> dict[str, KnownUser]:
        """All of them, locked in order, and made where they were not there."""
        held: dict[str, KnownUser] = {}
        for _ in range(LOOKS):
            if missing := sorted(set(keys) - held.keys()):
                held |= self._read(self._hold, connection, workspace_id, missing)
        return held

    def write(self, connection: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        self._upsert.run(connection, rows)

    def _read(
        self, statement: Statement, connection: Connection, workspace_id: str, keys: Collection[str]
    ) -> dict[str, KnownUser]:
        rows = statement.all(connection, {"in_workspace": workspace_id, "keys": self._database.many(keys)})
        return {key: _known(traits, consent) for key, traits, consent in rows}


def _known(traits: bytes | None, consent: bytes | None) -> KnownUser:
    kept = STRANGER.kept
    if traits:
        kept = _remembered(traits) if len(traits) <= LARGEST_REMEMBERED else _kept(traits)
    said = STRANGER.consent
    if consent:
        said = _remembered_consent(consent) if len(consent) <= LARGEST_REMEMBERED else _decode_consent(consent)
    return KnownUser(kept, said)


def _kept(traits: bytes) -> Kept:
    read = _decode_traits(traits)
    return _kept_of(read.traits, read.group, read.owner)


def _to_remember(traits: bytes) -> Kept:
    kept = _kept(traits)
    return kept._replace(known=Traits(kept.known))


def _kept_of(
    traits: dict[str, tuple[Json, float]], group: tuple[str, float] | None, owner: tuple[str, float] | None
) -> Kept:
    known = {name: value for name, (value, _) in traits.items() if value is not None}
    return Kept(traits, group, owner, known, email_member(known))


def _as_known(profile: Profile, before: KnownUser | None) -> KnownUser:
    """A profile as it will be read again."""
    kept = None if before is None else before.kept
    if kept is None or profile.traits is not kept.traits or (profile.group, profile.owner) != (kept.group, kept.owner):
        kept = _kept_of(profile.traits, profile.group, profile.owner)
    return KnownUser(kept, profile.consent)


_remembered = lru_cache(maxsize=REMEMBERED)(_to_remember)
_remembered_consent = lru_cache(maxsize=REMEMBERED)(_decode_consent)


def _row(workspace_id: str, key: str, profile: Profile) -> dict[str, object]:
    times = [at for _, at in (*profile.traits.values(), *profile.consent.values())]
    times += [at for _, at in filter(None, (profile.group, profile.owner))]
    told = _Traits(profile.traits, profile.group, profile.owner)
    return {
        "workspace_id": workspace_id,
        "user_key": key,
        "traits": None if told == _Traits() else encode_json(told),
        "consent": encode_json(profile.consent) if profile.consent else None,
        "updated_at": max(times, default=0.0),
    }
