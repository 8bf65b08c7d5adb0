"""Who may use the console: invitations, passwords, sessions.

Every token (of an invitation, of a session) is 32 random bytes. It is answered once and kept as its SHA-256, and
looked up by that, so that how long a look takes says nothing about the tokens that exist.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets

import msgspec
import structlog

from tracklayer.errors import Conflict, Invalid, NotFound, Unauthorized, Unavailable, at
from tracklayer.identity import IdFactory
from tracklayer.model.event import Json
from tracklayer.model.records import Invitation, Person, Session
from tracklayer.operate.audit import Audit
from tracklayer.operate.passwords import Passwords
from tracklayer.ports import Clock
from tracklayer.store import PeopleStore
from tracklayer.store.failures import Failures

INVITATION = 86_400.0  # seconds for which a link is good
IDLE = 7 * 86_400.0  # seconds without a request after which a session ends
ABSOLUTE = 30 * 86_400.0  # seconds after which it ends in any case
SEEN_EVERY = 60.0  # seconds between two writes of when a session was seen
FAILURES_OF_EMAIL, FAILURES_OF_ADDRESS = 5, 20  # to sign in, within a quarter of an hour
SETUP = "first run"  # the author of the link that a server prints while there is nobody

_LONGEST_EMAIL = 320  # characters that are looked at; more are kept nowhere, also not to count failures by
_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f]{1,64}@[^@\s\x00-\x1f\x7f]{1,189}")

log = structlog.get_logger("tracklayer.people")


class People:
    """The people of every workspace. `address` and `user_agent` are of the browser, for people to know it again."""

    def __init__(
        self,
        store: PeopleStore,
        failures: Failures,
        passwords: Passwords,
        audit: Audit,
        clock: Clock,
        ids: IdFactory,
    ) -> None:
        self._store = store
        self._failures = failures
        self._passwords = passwords
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def all(self, workspace_id: str) -> list[Person]:
        """The people of a workspace, oldest first."""
        return await self._store.people(workspace_id)

    async def setup(self, workspace_id: str) -> str | None:
        """The token of a link for the very first person, instead of an earlier one; None where there is somebody."""
        if await self._store.anyone():
            return None
        token, invitation = self._new_invitation(workspace_id, None, SETUP)
        await self._store.add_invitation(invitation, alone=True)
        return token

    async def invite(self, workspace_id: str, *, email: str | None, author: str) -> str:
        """The token of a link by which one person may join within a day; without an e-mail, whoever has it."""
        wanted = None if email is None else _checked_email(email)
        if wanted is not None and await self._store.person_of(wanted) is not None:
            raise _taken(wanted)
        token, invitation = self._new_invitation(workspace_id, wanted, author)
        await self._store.add_invitation(invitation)
        await self._audit.record(workspace_id, actor=author, action="person.invited", target=wanted or "anyone")
        return token

    async def invitation(self, token: str) -> Invitation:
        """The invitation behind a link. Raises `NotFound` where it was used, has expired or never was."""
        found = await self._store.invitation(_digest(token))
        if found is None:
            raise NotFound("this link was used already, or is not complete: ask for a new one", code="link_used")
        if found.expires_at <= self._clock.now():
            raise NotFound("this link has expired: it was good for 24 hours, ask for a new one", code="link_expired")
        return found

    async def accept_invitation(
        self, token: str, email: str, password: str, address: str, user_agent: str
    ) -> tuple[Person, str]:
        """Join by a link, which is used up by it; answers the new person and the token of a session.

        Raises `NotFound` as `invitation` does, and `Invalid` with the pointer /email or /password.
        """
        invitation = await self.invitation(token)
        wanted = _checked_email(email)
        if invitation.email not in (None, wanted):
            raise Invalid(f"this invitation is for {invitation.email}", code="other_email", pointer="/email")
        with at("password"):
            password_hash = await self._passwords.hash(password)
        person = Person(
            id=self._ids.new("per"),
            workspace_id=invitation.workspace_id,
            email=wanted,
            password_hash=password_hash,
            created_at=self._clock.now(),
        )
        session_token, session = self._new_session(person, address, user_agent)
        try:
            await self._store.join(invitation, person, session, ending=SETUP)
        except Conflict as error:
            raise _taken(wanted) from error
        await self._record(person, "joined", {"invited_by": invitation.author, **_browser(session)})
        return person, session_token

    async def sign_in(self, email: str, password: str, address: str, user_agent: str) -> tuple[Person, str]:
        """The person and the token of a new session.

        Raises `Unauthorized`, after the same time whether the e-mail is known or not, and `TooMany` after
        5 failures with an e-mail, or 20 from an address, within 15 minutes.
        """
        name, block, began = _plain(email), _block(address), self._clock.now()
        person = await self._store.person_of(name)
        await self._failures.begin({_of_email(name): FAILURES_OF_EMAIL, block: FAILURES_OF_ADDRESS}, began)
        fits = await self._passwords.fits(password, person.password_hash if person else None)
        if person is None or not fits:
            await self._failed(person, address, user_agent)
            raise Unauthorized("no person has this e-mail and this password", code="wrong_credentials")
        await self._failures.forget(_of_email(name))
        await self._failures.take_back(block, began)
        if self._passwords.is_outdated(person.password_hash):
            await self._store.rehash(person.id, person.password_hash, await self._passwords.hash(password))
        token, session = self._new_session(person, address, user_agent)
        await self._store.add_session(session)
        await self._record(person, "signed_in", _browser(session))
        return person, token

    async def session(self, token: str) -> tuple[Person, Session] | None:
        """Who is signed in with a token: until a week without a request, or a month, or a sign-out."""
        now = self._clock.now()
        found = await self._store.session(_digest(token), now)
        if found is None or now - found[1].seen_at < SEEN_EVERY:
            return found
        person, session = found
        seen = msgspec.structs.replace(session, seen_at=now, expires_at=min(now + IDLE, session.created_at + ABSOLUTE))
        try:
            await self._store.see(seen)
        except Unavailable as error:  # a full disk is no reason to keep out who has come to look at it
            log.warning("session_not_written", error=error.detail)
        return person, seen

    async def sessions(self, person_id: str) -> list[Session]:
        """Where somebody is signed in, the newest first."""
        return await self._store.sessions(person_id, self._clock.now())

    async def sign_out(self, token: str) -> None:
        """End one session, at once."""
        found = await self._store.session(_digest(token), self._clock.now())
        if found is not None:
            await self._store.end_session(found[1].hash)
            await self._record(found[0], "signed_out", _browser(found[1]))

    async def sign_out_everywhere(self, person_id: str) -> int:
        """End every session of a person, at once; answers how many there were."""
        person = await self._person(person_id)
        ended = await self._store.end_sessions(person_id)
        await self._record(person, "signed_out_everywhere", {"sessions": ended})
        return ended

    async def change_password(self, person_id: str, old: str, new: str, *, token: str | None = None) -> None:
        """Replace a password and end the person's sessions, but for the one whose `token` is given.

        Raises `Invalid` with the pointer /old or /new, and `TooMany` as `sign_in` does.
        """
        person = await self._person(person_id)
        await self._failures.begin({_of_email(person.email): FAILURES_OF_EMAIL}, self._clock.now())
        if not await self._passwords.fits(old, person.password_hash):
            raise Invalid("this is not your password of today", code="wrong_password", pointer="/old")
        await self._failures.forget(_of_email(person.email))
        with at("new"):
            password_hash = await self._passwords.hash(new)
        await self._store.set_password(person_id, password_hash, keep=None if token is None else _digest(token))
        await self._record(person, "password_changed")

    async def remove(self, workspace_id: str, person_id: str, author: str) -> None:
        """Take somebody out: signed out at once, their open invitations ended. The last person of a workspace stays."""
        gone = await self._store.remove(workspace_id, person_id)
        await self._audit.record(workspace_id, actor=author, action="person.removed", target=gone.email)

    async def _failed(self, person: Person | None, address: str, user_agent: str) -> None:
        log.warning("sign_in_failed", address=address[:100])
        if person is None:  # no entry that a stranger could fill the disk with; but as long a time as one takes
            await self._store.write_nothing()
        else:
            await self._record(person, "sign_in_failed", {"address": address[:100], "user_agent": user_agent[:300]})

    def _new_invitation(self, workspace_id: str, email: str | None, author: str) -> tuple[str, Invitation]:
        token, now = secrets.token_urlsafe(32), self._clock.now()
        return token, Invitation(
            hash=_digest(token),
            workspace_id=workspace_id,
            email=email,
            author=author,
            created_at=now,
            expires_at=now + INVITATION,
        )

    def _new_session(self, person: Person, address: str, user_agent: str) -> tuple[str, Session]:
        token, now = secrets.token_urlsafe(32), self._clock.now()
        return token, Session(
            hash=_digest(token),
            person_id=person.id,
            created_at=now,
            seen_at=now,
            expires_at=now + IDLE,
            address=address[:100],
            user_agent=user_agent[:300],
        )

    async def _person(self, person_id: str) -> Person:
        person = await self._store.person(person_id)
        if person is None:
            raise NotFound(f"there is no person {person_id!r}")
        return person

    async def _record(self, person: Person, verb: str, detail: dict[str, Json] | None = None) -> None:
        """What a person did themselves."""
        await self._audit.record(
            person.workspace_id, actor=person.email, action=f"person.{verb}", target=person.email, detail=detail
        )


def link_path(token: str) -> str:
    """Where the console takes an invitation, under the server's address."""
    return f"/setup/{token}"


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _browser(session: Session) -> dict[str, Json]:
    return {"address": session.address, "user_agent": session.user_agent}


def _plain(email: str) -> str:
    return email.strip()[:_LONGEST_EMAIL].lower()


def _checked_email(email: str) -> str:
    plain = _plain(email)
    if not _EMAIL.fullmatch(plain):
        raise Invalid(f"{email[:254]!r} is not an e-mail address", code="invalid_email", pointer="/email")
    return plain


def _taken(email: str) -> Invalid:
    return Invalid(f"{email} belongs to somebody already", code="email_taken", pointer="/email")


def _of_email(email: str) -> str:
    """What the failures of an e-mail are counted by, beside those of addresses."""
    return f"e-mail {email}"


def _block(address: str) -> str:
    """What the failures of a browser are counted by: what one person may have addresses of; for IPv6, a /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:100]
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
