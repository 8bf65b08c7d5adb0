"""People, the sessions in which they are signed in, and invitations. Each verb is one transaction."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update

from tracklayer.errors import Conflict, NotFound
from tracklayer.model.records import Invitation, Person, Session
from tracklayer.store.database import Database
from tracklayer.store.tables import invitations, people, sessions


class PeopleStore:
    """Tokens are known by their hash only. What has expired is never answered, and goes when its like is added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def anyone(self) -> bool:
        """Whether there is a person in any workspace."""
        return bool(await self._rows(select(people.c.id).limit(1)))

    async def people(self, workspace_id: str) -> list[Person]:
        """The people of a workspace, oldest first."""
        found = await self._rows(select(people).where(people.c.workspace_id == workspace_id).order_by(people.c.id))
        return [Person(**row) for row in found]

    async def person(self, person_id: str) -> Person | None:
        """One person."""
        return await self._person(select(people).where(people.c.id == person_id))

    async def person_of(self, email: str) -> Person | None:
        """The person with that e-mail, which is in lower case."""
        return await self._person(select(people).where(people.c.email == email))

    async def set_password(self, person_id: str, password_hash: str, *, keep: str | None = None) -> None:
        """Replace a password's hash and end the person's sessions, except the one whose hash is `keep`."""
        of_person = sessions.c.person_id == person_id
        others = of_person if keep is None else of_person & (sessions.c.hash != keep)

        def work(connection: Connection) -> None:
            connection.execute(_new_hash(person_id, password_hash))
            connection.execute(delete(sessions).where(others))

        await self._database.write(work)

    async def rehash(self, person_id: str, old: str, new: str) -> None:
        """Replace the hash of a password that stays as it is; does nothing where it was changed meanwhile."""
        statement = _new_hash(person_id, new).where(people.c.password_hash == old)
        await self._database.write(lambda connection: connection.execute(statement))

    async def remove(self, workspace_id: str, person_id: str) -> Person:
        """Forget a person with all sessions, and the invitations that they made.

        Raises `NotFound`, or `Conflict` for the last one of the workspace.
        """
        here = people.c.workspace_id == workspace_id

        def work(connection: Connection) -> Person:
            row = connection.execute(select(people).where(here, people.c.id == person_id)).mappings().first()
            if row is None:
                raise NotFound(f"there is no person {person_id!r} in this workspace")
            if connection.execute(select(func.count()).select_from(people).where(here)).scalar_one() == 1:
                raise Conflict("this is the last person: invite somebody else first", code="last_person")
            made_by = (invitations.c.workspace_id == workspace_id) & (invitations.c.author == row["email"])
            connection.execute(delete(invitations).where(made_by))
            connection.execute(delete(sessions).where(sessions.c.person_id == person_id))
            connection.execute(delete(people).where(people.c.id == person_id))
            return Person(**row)

        return await self._database.write(work)

    async def add_session(self, session: Session) -> None:
        """Store a new session."""
        await self._database.write(lambda connection: _add_session(connection, session))

    async def session(self, token_hash: str, now: float) -> tuple[Person, Session] | None:
        """The session of that token and its person."""
        wanted = select(sessions).where(sessions.c.hash == token_hash, sessions.c.expires_at > now)

        def work(connection: Connection) -> tuple[Person, Session] | None:
            found = connection.execute(wanted).mappings().first()
            if found is None:
                return None
            person = connection.execute(select(people).where(people.c.id == found["person_id"])).mappings().first()
            return None if person is None else (Person(**person), Session(**found))

        return await self._database.read(work)

    async def sessions(self, person_id: str, now: float) -> list[Session]:
        """A person's sessions, the newest first."""
        mine = select(sessions).where(sessions.c.person_id == person_id, sessions.c.expires_at > now)
        return [
            Session(**row) for row in await self._rows(mine.order_by(sessions.c.created_at.desc(), sessions.c.hash))
        ]

    async def see(self, session: Session) -> None:
        """Write when a session was seen last, and when it ends now; one that has ended stays so."""
        statement = (
            update(sessions)
            .where(sessions.c.hash == session.hash)
            .values(seen_at=session.seen_at, expires_at=session.expires_at)
        )
        await self._database.write(lambda connection: connection.execute(statement))

    async def end_session(self, token_hash: str) -> None:
        """End one session."""
        statement = delete(sessions).where(sessions.c.hash == token_hash)
        await self._database.write(lambda connection: connection.execute(statement))

    async def end_sessions(self, person_id: str) -> int:
        """End every session of a person; answers how many there were."""
        statement = delete(sessions).where(sessions.c.person_id == person_id)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount)

    async def add_invitation(self, invitation: Invitation, *, alone: bool = False) -> None:
        """Store a new invitation; `alone`: those of the same author end."""
        gone = invitations.c.expires_at <= invitation.created_at - _REMEMBERED
        if alone:
            gone |= invitations.c.author == invitation.author

        def work(connection: Connection) -> None:
            connection.execute(delete(invitations).where(gone))
            connection.execute(insert(invitations).values(msgspec.structs.asdict(invitation)))

        await self._database.write(work)

    async def invitation(self, token_hash: str) -> Invitation | None:
        """The invitation of that token, for a month also when it has expired; None where it was used."""
        found = await self._rows(select(invitations).where(invitations.c.hash == token_hash))
        return Invitation(**found[0]) if found else None

    async def join(self, invitation: Invitation, person: Person, session: Session, *, ending: str) -> None:
        """Use an invitation up: a new person, who is signed in. Invitations of the author `ending` end with it.

        Raises `NotFound` where somebody else has used it, and `Conflict` where the e-mail is taken; the invitation
        stays then.
        """
        add_person = self._database.insert(people).values(msgspec.structs.asdict(person))

        def work(connection: Connection) -> None:
            if connection.execute(delete(invitations).where(invitations.c.hash == invitation.hash)).rowcount != 1:
                raise NotFound("this link was used already")
            if connection.execute(add_person.on_conflict_do_nothing(index_elements=["email"])).rowcount != 1:
                raise Conflict(f"{person.email} is taken", code="email_taken")
            connection.execute(delete(invitations).where(invitations.c.author == ending))
            _add_session(connection, session)

        await self._database.write(work)

    async def write_nothing(self) -> None:
        """Take as long as a verb that adds a row."""
        await self._database.ping()

    async def _person(self, statement: Select[Any]) -> Person | None:
        found = await self._rows(statement)
        return Person(**found[0]) if found else None

    async def _rows(self, statement: Select[Any]) -> list[RowMapping]:
        return await self._database.read(lambda connection: list(connection.execute(statement).mappings()))


_REMEMBERED = 30 * 86_400.0  # seconds for which an expired link is told from one that never was


def _add_session(connection: Connection, session: Session) -> None:
    connection.execute(delete(sessions).where(sessions.c.expires_at <= session.created_at))
    connection.execute(insert(sessions).values(msgspec.structs.asdict(session)))


def _new_hash(person_id: str, password_hash: str) -> Any:
    return update(people).where(people.c.id == person_id).values(password_hash=password_hash)
