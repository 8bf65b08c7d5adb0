"""What is known of users: read and written inside the transaction that accepts their events, so it is exact."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, bindparam, select

from tracklayer.model.facts import BY_EMAIL, NO_FACTS, FactKeys, Facts, Group
from tracklayer.model.profile import GROUP, ProfileUpdate, joined_consent
from tracklayer.store.database import Database
from tracklayer.store.known_users import STRANGER, KnownUser, ProfileRows, Users
from tracklayer.store.tables import audience_members

_NO_LIST = frozenset[str]()


class FactsReader:
    """Reads what is known of many users at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.profiles = ProfileRows(database)
        self._select_members = database.statement(
            database.look_up(
                select(audience_members.c.member, audience_members.c.audience).where(
                    audience_members.c.workspace_id == bindparam("in_workspace")
                ),
                audience_members.c.member,
                "keys",
            )
        )

    def read(self, connection: Connection, workspace_id: str, wanted: Sequence[FactKeys]) -> list[Facts]:
        """The facts of users in the order of `wanted`, in at most three queries; of strangers `NO_FACTS`."""
        return self.of_those(Users(connection, self.profiles), workspace_id, wanted)

    async def of(self, workspace_id: str, keys: FactKeys) -> Facts:
        """The facts of one user, as committed. Raises `Unavailable`."""
        (found,) = await self._database.read(lambda connection: self.read(connection, workspace_id, [keys]))
        return found

    def of_those(self, known: Users, workspace_id: str, wanted: Sequence[FactKeys]) -> list[Facts]:
        """As `read`, out of what a transaction knows already; what it does not is read."""
        asked = {user for keys in wanted for user in keys.users}
        users = known.get(workspace_id, asked)
        named = {keys.group for keys in wanted if keys.group}
        named |= {user.kept.group[0] for key in asked if (user := users[key]) is not None and user.kept.group}
        groups = known.get(workspace_id, {GROUP + group_id for group_id in named}) if named else users
        members = [_members(keys, users) for keys in wanted]
        audiences = self._audiences(known.connection, workspace_id, {key for of in members for key in of})
        return [_facts(keys, users, groups, _lists(of, audiences)) for keys, of in zip(wanted, members, strict=True)]

    def _audiences(self, connection: Connection, workspace_id: str, members: Collection[str]) -> dict[str, set[str]]:
        """By member; those whom no list names are not among them."""
        found: dict[str, set[str]] = {}
        if members:
            parameters = {"in_workspace": workspace_id, "keys": self._database.many(members)}
            for member, audience in self._select_members.all(connection, parameters):
                found.setdefault(member, set()).add(audience)
        return found


class Memory:
    """What is known of users, within one transaction: what is remembered here is known from then on, and `write`
    stores it. Each profile is read and written once, however many events are of the same user.
    """

    def __init__(self, connection: Connection, reader: FactsReader) -> None:
        self._reader = reader
        self._users = Users(connection, reader.profiles)

    def facts(self, workspace_id: str, wanted: Sequence[FactKeys]) -> list[Facts]:
        """See `FactsReader.read`."""
        return self._reader.of_those(self._users, workspace_id, wanted)

    def consent(self, workspace_id: str, user_key: str) -> dict[str, tuple[str, float]]:
        """What is kept under one key, of those whose facts were asked for. Not to be changed."""
        known = self._users.get(workspace_id, (user_key,))[user_key]
        return {} if known is None else known.consent

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

    def within(self, connection: Connection) -> Memory:
        """Of the transaction of `connection`."""
        return Memory(connection, self._reader)


_Profiles: TypeAlias = Mapping[str, KnownUser | None]


def _members(keys: FactKeys, users: _Profiles) -> Collection[str]:
    """By what lists may name a user; the e-mail address may be known although the event does not tell it."""
    if keys.members is None:
        return ()
    user = users[keys.users[0]] if keys.users else None
    if user is None or user.kept.member is None or any(key.startswith(BY_EMAIL) for key in keys.members):
        return keys.members
    return (*keys.members, user.kept.member)


def _lists(members: Collection[str], audiences: Mapping[str, set[str]]) -> frozenset[str]:
    lists = [audiences[key] for key in members if key in audiences] if audiences else ()
    return _NO_LIST.union(*lists) if lists else _NO_LIST


def _facts(keys: FactKeys, users: _Profiles, groups: _Profiles, listed: frozenset[str]) -> Facts:
    known = [each for key in keys.users if (each := users[key]) is not None]
    user = (users[keys.users[0]] if keys.users else None) or STRANGER
    group_id = keys.group or (user.kept.group[0] if user.kept.group else None)
    if group_id is None and not listed and not known:
        return NO_FACTS
    group = None
    if group_id is not None:
        group = Group(id=group_id, traits=dict((groups[GROUP + group_id] or STRANGER).kept.known))
    return Facts(
        traits=user.kept.known,
        group=group,
        consent=joined_consent([each.consent for each in known]),
        audiences=listed,
    )
