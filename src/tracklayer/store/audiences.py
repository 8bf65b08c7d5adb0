"""Audiences and who is on their lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, select, update

from tracklayer.errors import NotFound
from tracklayer.model.event import decode_json, encode_json
from tracklayer.model.records import Audience, Member
from tracklayer.store.database import Database
from tracklayer.store.tables import audience_members, audiences

STEP = 1_000  # members changed in one transaction: about 10 ms, in which nobody else can write

_OF = audience_members.c


class AudienceStore:
    """Definitions are few and read whole; members are many, and changed in steps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = database.insert(audience_members).on_conflict_do_nothing().returning(_OF.member)

    async def of(self, workspace_id: str) -> list[Audience]:
        """A workspace's audiences, by name."""
        statement = select(audiences).where(audiences.c.workspace_id == workspace_id).order_by(audiences.c.name)
        return [
            _audience(row)
            for row in await self._database.read(lambda connection: list(connection.execute(statement).mappings()))
        ]

    async def put(self, audience: Audience) -> None:
        """Store or replace an audience; a replaced one keeps its `created_at`."""
        row = {
            **msgspec.structs.asdict(audience),
            "rule": None if audience.rule is None else encode_json(audience.rule),
        }
        statement = self._database.insert(audiences).values(row)
        changed = {name: statement.excluded[name] for name in ("rule", "updated_at")}
        statement = statement.on_conflict_do_update(index_elements=["workspace_id", "name"], set_=changed)
        await self._database.write(lambda connection: connection.execute(statement))

    async def replace_rule(self, audience: Audience, *, seen: float) -> bool:
        """Store another rule, where the audience is as it was saved at `seen`: False where it is not, or is gone."""
        of = (audiences.c.workspace_id == audience.workspace_id, audiences.c.name == audience.name)
        changed = {"rule": encode_json(audience.rule), "updated_at": audience.updated_at}
        statement = update(audiences).where(*of, audiences.c.updated_at == seen).values(changed)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def remove(self, workspace_id: str, name: str) -> None:
        """Forget an audience and its members, in steps, the audience itself with the last of them."""
        some = select(_OF.member).where(_OF.workspace_id == workspace_id, _OF.audience == name).limit(STEP)
        members = delete(audience_members).where(
            _OF.workspace_id == workspace_id, _OF.audience == name, _OF.member.in_(some)
        )
        itself = delete(audiences).where(audiences.c.workspace_id == workspace_id, audiences.c.name == name)

        def step(connection: Connection) -> bool:
            if connection.execute(members).rowcount == STEP:
                return True
            connection.execute(itself)
            return False

        while await self._database.write(step, long=True):
            pass

    async def add_members(self, workspace_id: str, name: str, members: Sequence[str], *, now: float) -> int:
        """Put members (keys as in `model.facts`) on a list, in steps; answers how many were not on it.

        Raises `NotFound` where the audience is gone. Where it raises `Unavailable`, some steps may be done: the same
        again does the rest.
        """
        itself = (
            select(audiences.c.name)
            .where(audiences.c.workspace_id == workspace_id, audiences.c.name == name)
            .with_for_update(read=True)
        )

        def add(some: Sequence[str], connection: Connection) -> int:
            if connection.execute(itself).first() is None:  # or its list could come back with another of its name
                raise NotFound(f"there is no audience {name!r} in this workspace")
            of = {"workspace_id": workspace_id, "audience": name, "added_at": now}
            rows: list[dict[str, object]] = [{"member": each, **of} for each in sorted(some)]
            return len(connection.execute(self._insert, rows).all())

        return await self._in_steps(add, members)

    async def remove_members(self, workspace_id: str, name: str, members: Sequence[str]) -> int:
        """Take members off a list, in steps; answers how many were on it."""
        of_list = (_OF.workspace_id == workspace_id, _OF.audience == name)

        def remove(some: Sequence[str], connection: Connection) -> int:
            return connection.execute(delete(audience_members).where(*of_list, _OF.member.in_(some))).rowcount

        return await self._in_steps(remove, members)

    async def members(self, workspace_id: str, name: str, *, limit: int, after: str | None = None) -> list[Member]:
        """A page of a list, in the order of its keys."""
        statement = select(_OF.member, _OF.added_at).where(_OF.workspace_id == workspace_id, _OF.audience == name)
        if after is not None:
            statement = statement.where(_OF.member > after)
        rows = await self._database.read(
            lambda connection: connection.execute(statement.order_by(_OF.member).limit(limit)).all()
        )
        return [Member(key=key, added_at=added_at) for key, added_at in rows]

    async def listed(self, workspace_id: str, name: str, keys: Collection[str]) -> list[str]:
        """Those of `keys` that are on a list."""
        statement = select(_OF.member).where(
            _OF.workspace_id == workspace_id, _OF.audience == name, _OF.member.in_(keys)
        )
        return await self._database.read(lambda connection: list(connection.execute(statement).scalars()))

    async def counts(self, workspace_id: str) -> dict[str, int]:
        """How many members every list of a workspace has, without those that have none: one walk along an index."""
        statement = select(_OF.audience, func.count()).where(_OF.workspace_id == workspace_id).group_by(_OF.audience)
        return await self._database.read(lambda connection: {row[0]: row[1] for row in connection.execute(statement)})

    async def count(self, workspace_id: str, name: str) -> int:
        """How many members one list has."""
        statement = select(func.count()).where(_OF.workspace_id == workspace_id, _OF.audience == name)
        return await self._database.read(lambda connection: int(connection.execute(statement).scalar_one()))

    async def _in_steps(self, change: Callable[[Sequence[str], Connection], int], members: Sequence[str]) -> int:
        changed = 0
        for start in range(0, len(members), STEP):
            some = members[start : start + STEP]
            changed += await self._database.write(partial(change, some), long=True)
        return changed


def _audience(row: RowMapping) -> Audience:
    return Audience(**{**row, "rule": None if row["rule"] is None else decode_json(row["rule"])})
