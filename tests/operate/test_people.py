"""Who may use the console: links, passwords, sessions and their limits, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from argon2 import PasswordHasher

from tests.virtual_time import in_virtual_time
from tests.world import Outage, World, running
from tracklayer.errors import Conflict, Invalid, NotFound, TooMany, Unauthorized
from tracklayer.model.records import AuditEntry, Person
from tracklayer.operate.passwords import Passwords
from tracklayer.operate.people import People
from tracklayer.store import PeopleStore
from tracklayer.store.failures import Failures

KIM, LEE = "kim@example.com", "lee@example.com"
PASSWORD, OTHER = "correct horse battery", "another long password"
BROWSER = ("192.0.2.1", "Firefox")
HOUR, DAY = 3600.0, 86_400.0


class Crew:
    """People of a running service whose passwords are quick to hash."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = PeopleStore(world.service._database)
        self.people = self.with_cost()

    @property
    def workspace_id(self) -> str:
        return self.world.workspace_id

    def with_cost(self, time_cost: int = 1) -> People:
        """The same people in another process, with these parameters of the hash."""
        hasher = PasswordHasher(time_cost=time_cost, memory_cost=8, parallelism=1)
        service = self.world.service
        failures = Failures(service._database)
        return People(self.store, failures, Passwords(hasher), service.audit, service.clock, service.ids)

    async def join(self, email: str = KIM) -> tuple[Person, str]:
        """Somebody with `PASSWORD`, and the token of the session in which they joined."""
        token = await self.people.invite(self.workspace_id, email=email, author="test")
        return await self.people.accept_invitation(token, email, PASSWORD, *BROWSER)

    async def fail(self, email: str = KIM, address: str = BROWSER[0]) -> None:
        """A try to sign in that must fail for its password."""
        with pytest.raises(Unauthorized):
            await self.people.sign_in(email, "a wrong password", address, "curl")

    async def trail(self, action: str = "person") -> list[AuditEntry]:
        """What the audit has of them, oldest first."""
        return (await self.world.service.audit.page(self.workspace_id, limit=100, action=action))[::-1]


@asynccontextmanager
async def crew(data_dir: Path) -> AsyncIterator[Crew]:
    async with running(data_dir) as world:
        yield Crew(world)


# Links


@in_virtual_time
async def test_the_first_person_joins_by_the_setup_link_and_then_there_is_none(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        people = all_of_us.people
        token = await people.setup(all_of_us.workspace_id)
        assert token is not None
        assert (await people.invitation(token)).email is None
        person, session = await people.accept_invitation(token, " Kim@Example.com ", PASSWORD, *BROWSER)
        assert (person.email, person.workspace_id) == (KIM, all_of_us.workspace_id)
        assert (await people.session(session) or [None])[0] == person
        assert await people.setup(all_of_us.workspace_id) is None


@in_virtual_time
async def test_a_new_setup_link_ends_the_one_before_and_the_first_person_ends_it(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        people = all_of_us.people
        first, second = [await people.setup(all_of_us.workspace_id) for _ in range(2)]
        assert first is not None
        assert second is not None
        with pytest.raises(NotFound):
            await people.invitation(first)
        await people.invitation(second)
        await all_of_us.join()
        with pytest.raises(NotFound):
            await people.invitation(second)


@in_virtual_time
async def test_a_link_is_good_once_and_for_a_day(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        people = all_of_us.people
        used, late = [await people.invite(all_of_us.workspace_id, email=None, author="test") for _ in range(2)]
        await people.accept_invitation(used, KIM, PASSWORD, *BROWSER)
        with pytest.raises(NotFound, match="used already"):
            await people.accept_invitation(used, LEE, PASSWORD, *BROWSER)
        await asyncio.sleep(DAY - 1)
        await people.invitation(late)
        await asyncio.sleep(1)
        with pytest.raises(NotFound, match="expired"):
            await people.invitation(late)
        with pytest.raises(NotFound, match="expired"):
            await people.accept_invitation(late, LEE, PASSWORD, *BROWSER)
        with pytest.raises(NotFound, match="not complete"):
            await people.invitation(late[:-1])


@in_virtual_time
async def test_an_invitation_for_an_email_is_for_that_one_only(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        token = await all_of_us.people.invite(all_of_us.workspace_id, email="KIM@example.com", author="test")
        with pytest.raises(Invalid, match=KIM) as refused:
            await all_of_us.people.accept_invitation(token, LEE, PASSWORD, *BROWSER)
        assert refused.value.pointer == "/email"
        person, _ = await all_of_us.people.accept_invitation(token, KIM, PASSWORD, *BROWSER)
        assert person.email == KIM


@in_virtual_time
async def test_a_taken_email_is_refused_and_the_link_stays_good(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        with pytest.raises(Invalid) as refused:
            await all_of_us.people.invite(all_of_us.workspace_id, email=KIM, author="test")
        assert (refused.value.code, refused.value.pointer) == ("email_taken", "/email")
        token = await all_of_us.people.invite(all_of_us.workspace_id, email=None, author="test")
        with pytest.raises(Invalid) as refused:
            await all_of_us.people.accept_invitation(token, KIM, PASSWORD, *BROWSER)
        assert (refused.value.code, refused.value.pointer) == ("email_taken", "/email")
        await all_of_us.people.accept_invitation(token, LEE, PASSWORD, *BROWSER)


@pytest.mark.parametrize(
    "email, password, pointer",
    [
        ("", PASSWORD, "/email"),
        ("kim", PASSWORD, "/email"),
        ("kim@", PASSWORD, "/email"),
        ("kim lee@example.com", PASSWORD, "/email"),
        ("kim@exa\x00mple.com", PASSWORD, "/email"),
        ("k" * 65 + "@example.com", PASSWORD, "/email"),
        (KIM, "too short", "/password"),
        (KIM, "x" * 201, "/password"),
    ],
)
@in_virtual_time
async def test_a_bad_email_or_password_is_refused_at_its_field(
    tmp_path: Path, email: str, password: str, pointer: str
) -> None:
    async with crew(tmp_path) as all_of_us:
        token = await all_of_us.people.invite(all_of_us.workspace_id, email=None, author="test")
        with pytest.raises(Invalid) as refused:
            await all_of_us.people.accept_invitation(token, email, password, *BROWSER)
        assert refused.value.pointer == pointer
        assert await all_of_us.people.all(all_of_us.workspace_id) == []


@in_virtual_time
async def test_no_token_and_no_password_is_kept(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        token = await all_of_us.people.invite(all_of_us.workspace_id, email=LEE, author="test")
        _, session = await all_of_us.join()
    kept = _bytes_on_disk(tmp_path)
    assert KIM.encode() in kept
    assert [text for text in (token, session, PASSWORD) if text.encode() in kept] == []


def _bytes_on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("tracklayer.db*"))


# Signing in


@in_virtual_time
async def test_a_person_signs_in_with_the_email_in_any_case(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, joined = await all_of_us.join()
        person, token = await all_of_us.people.sign_in(" KIM@Example.com", PASSWORD, "2001:db8::1", "Safari")
        assert person == kim
        assert token != joined
        found = await all_of_us.people.session(token)
        assert found is not None
        assert (found[1].address, found[1].user_agent) == ("2001:db8::1", "Safari")


@in_virtual_time
async def test_a_wrong_password_and_an_unknown_email_are_told_the_same(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        said = []
        for email, password in ((KIM, OTHER), (LEE, PASSWORD), ("no e-mail", PASSWORD), (KIM, "x" * 100_000)):
            with pytest.raises(Unauthorized) as refused:
                await all_of_us.people.sign_in(email, password, *BROWSER)
            said.append((refused.value.code, refused.value.detail))
        assert len(set(said)) == 1


@in_virtual_time
async def test_after_five_failures_an_email_waits_also_with_the_right_password(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        await all_of_us.join(LEE)
        await all_of_us.fail()
        await asyncio.sleep(300)
        for number in range(4):
            await all_of_us.fail(address=f"192.0.2.{number}")
        with pytest.raises(TooMany, match="10 min") as refused:
            await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)
        assert refused.value.retry_after == 600
        await all_of_us.people.sign_in(LEE, PASSWORD, *BROWSER)
        await asyncio.sleep(600)
        await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)


@in_virtual_time
async def test_tries_at_once_do_not_slip_through_the_limit(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        tries = [all_of_us.people.sign_in(KIM, f"guess number {number}", *BROWSER) for number in range(30)]
        kinds = [type(each) for each in await asyncio.gather(*tries, return_exceptions=True)]
        assert (kinds.count(Unauthorized), kinds.count(TooMany)) == (5, 25)


@in_virtual_time
async def test_signing_in_forgets_the_failures_of_the_email(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        for _ in range(2):
            for number in range(4):
                await all_of_us.fail(address=f"192.0.2.{number}")
            await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)


@in_virtual_time
async def test_processes_count_failures_together(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        another = all_of_us.with_cost()
        for number in range(5):
            with pytest.raises(Unauthorized):
                await (another, all_of_us.people)[number % 2].sign_in(KIM, OTHER, f"192.0.2.{number}", "curl")
        for people in (another, all_of_us.people, all_of_us.with_cost()):
            with pytest.raises(TooMany):
                await people.sign_in(KIM, PASSWORD, *BROWSER)


@pytest.mark.parametrize(
    "addresses, other",
    [
        (["192.0.2.7"], "192.0.2.8"),
        ([f"2001:db8:0:7::{number:x}" for number in range(20)], "2001:db8:0:8::1"),  # one person's /64
        (["a proxy's socket"], "another"),
    ],
)
@in_virtual_time
async def test_after_twenty_failures_an_address_waits_for_every_email(
    tmp_path: Path, addresses: list[str], other: str
) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        for number in range(20):
            await all_of_us.fail(f"guess{number}@example.com", addresses[number % len(addresses)])
        with pytest.raises(TooMany):
            await all_of_us.people.sign_in(KIM, PASSWORD, addresses[0], "curl")
        await all_of_us.people.sign_in(KIM, PASSWORD, other, "curl")
        await asyncio.sleep(900)
        await all_of_us.people.sign_in(KIM, PASSWORD, addresses[0], "curl")


@in_virtual_time
async def test_an_office_may_sign_in_as_often_as_it_likes(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        for _ in range(30):
            await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)


@in_virtual_time
async def test_a_password_is_hashed_anew_when_the_parameters_change(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, session = await all_of_us.join()
        stronger = all_of_us.with_cost(time_cost=2)
        await stronger.sign_in(KIM, PASSWORD, *BROWSER)
        found = await all_of_us.store.person(kim.id)
        assert found is not None
        assert "t=2" in found.password_hash
        assert "t=1" in kim.password_hash
        assert await stronger.session(session) is not None
        await stronger.sign_in(KIM, PASSWORD, *BROWSER)
        assert await all_of_us.store.person(kim.id) == found


# Sessions


@in_virtual_time
async def test_a_session_ends_after_a_week_without_a_request(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        _, token = await all_of_us.join()
        for _ in range(3):
            await asyncio.sleep(7 * DAY - 1)
            assert await all_of_us.people.session(token) is not None
        await asyncio.sleep(7 * DAY)
        assert await all_of_us.people.session(token) is None


@in_virtual_time
async def test_a_session_ends_after_a_month_in_any_case(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, token = await all_of_us.join()
        for _ in range(29):
            await asyncio.sleep(DAY)
            assert await all_of_us.people.session(token) is not None
        await asyncio.sleep(DAY - 1)
        assert await all_of_us.people.session(token) is not None
        await asyncio.sleep(1)
        assert await all_of_us.people.session(token) is None
        assert await all_of_us.people.sessions(kim.id) == []


@in_virtual_time
async def test_when_a_session_was_seen_is_written_once_a_minute(tmp_path: Path, monkeypatch: Any) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, token = await all_of_us.join()
        (joined,) = await all_of_us.people.sessions(kim.id)
        see = mock.AsyncMock(side_effect=all_of_us.store.see)
        monkeypatch.setattr(all_of_us.store, "see", see)
        for _ in range(100):
            await asyncio.sleep(2)
            await all_of_us.people.session(token)
        written = [call.args[0].seen_at for call in see.await_args_list]
        assert [round(at - joined.seen_at) for at in written] == [60, 120, 180]
        (session,) = await all_of_us.people.sessions(kim.id)
        assert session.seen_at == written[-1]


@in_virtual_time
async def test_a_disk_that_is_full_keeps_nobody_out(tmp_path: Path, monkeypatch: Any) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, token = await all_of_us.join()
        outage = Outage(all_of_us.store.see)
        monkeypatch.setattr(all_of_us.store, "see", outage)
        await asyncio.sleep(HOUR)
        assert (await all_of_us.people.session(token) or [None])[0] == kim
        assert outage.failures == 1


@in_virtual_time
async def test_who_signs_out_is_out_at_once_and_only_there(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, one = await all_of_us.join()
        _, two = await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)
        await all_of_us.people.sign_out(one)
        assert await all_of_us.people.session(one) is None
        assert (await all_of_us.people.session(two) or [None])[0] == kim
        await all_of_us.people.sign_out(one)
        await all_of_us.people.sign_out("never was")
        assert [each.action for each in await all_of_us.trail("person.signed_out")] == ["person.signed_out"]


@in_virtual_time
async def test_signing_out_everywhere_ends_every_session_of_that_person(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, one = await all_of_us.join()
        lee, theirs = await all_of_us.join(LEE)
        _, two = await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)
        assert await all_of_us.people.sign_out_everywhere(kim.id) == 2
        assert [await all_of_us.people.session(each) for each in (one, two)] == [None, None]
        assert (await all_of_us.people.session(theirs) or [None])[0] == lee


@pytest.mark.parametrize("token", ["", "x", "ünïcode", "a" * 10_000])
@in_virtual_time
async def test_a_token_that_never_was_is_nobody(tmp_path: Path, token: str) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        assert await all_of_us.people.session(token) is None


# Passwords and leaving


@in_virtual_time
async def test_a_changed_password_ends_the_other_sessions_and_the_old_password(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, here = await all_of_us.join()
        _, elsewhere = await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)
        await all_of_us.people.change_password(kim.id, PASSWORD, OTHER, token=here)
        assert await all_of_us.people.session(here) is not None
        assert await all_of_us.people.session(elsewhere) is None
        await all_of_us.fail()
        with pytest.raises(Unauthorized):
            await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)
        await all_of_us.people.sign_in(KIM, OTHER, *BROWSER)


@pytest.mark.parametrize("old, new, pointer", [(OTHER, "x" * 20, "/old"), (PASSWORD, "short", "/new")])
@in_virtual_time
async def test_a_password_that_cannot_be_changed_stays(tmp_path: Path, old: str, new: str, pointer: str) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, here = await all_of_us.join()
        with pytest.raises(Invalid) as refused:
            await all_of_us.people.change_password(kim.id, old, new)
        assert refused.value.pointer == pointer
        assert await all_of_us.people.session(here) is not None
        await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)


@in_virtual_time
async def test_a_stolen_session_does_not_let_anybody_guess_the_password(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, _ = await all_of_us.join()
        for number in range(5):
            with pytest.raises(Invalid):
                await all_of_us.people.change_password(kim.id, f"guess number {number}", OTHER)
        with pytest.raises(TooMany):
            await all_of_us.people.change_password(kim.id, PASSWORD, OTHER)


@in_virtual_time
async def test_who_is_removed_is_out_at_once_and_the_last_person_stays(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, token = await all_of_us.join()
        lee, _ = await all_of_us.join(LEE)
        assert await all_of_us.people.all(all_of_us.workspace_id) == [kim, lee]
        await all_of_us.people.remove(all_of_us.workspace_id, kim.id, LEE)
        assert await all_of_us.people.session(token) is None
        with pytest.raises(Conflict):
            await all_of_us.people.remove(all_of_us.workspace_id, lee.id, LEE)
        with pytest.raises(Unauthorized):
            await all_of_us.people.sign_in(KIM, PASSWORD, *BROWSER)
        for verb in (all_of_us.people.sign_out_everywhere(kim.id), all_of_us.people.change_password(kim.id, "", "")):
            with pytest.raises(NotFound, match=kim.id):
                await verb


# The trail


@in_virtual_time
async def test_everything_that_people_do_is_in_the_audit(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        people, workspace_id = all_of_us.people, all_of_us.workspace_id
        kim, token = await all_of_us.join()
        lee, _ = await all_of_us.join(LEE)
        await all_of_us.fail()
        await people.sign_in(KIM, PASSWORD, *BROWSER)
        await people.change_password(kim.id, PASSWORD, OTHER, token=token)
        await people.sign_out(token)
        await people.sign_out_everywhere(kim.id)
        await people.invite(workspace_id, email=None, author=KIM)
        await people.remove(workspace_id, lee.id, KIM)
        trail = await all_of_us.trail()
        browser = {"address": "192.0.2.1", "user_agent": "Firefox"}
        assert [(each.actor, each.action, each.target, each.detail) for each in trail] == [
            ("test", "person.invited", KIM, {}),
            (KIM, "person.joined", KIM, {"invited_by": "test", **browser}),
            ("test", "person.invited", LEE, {}),
            (LEE, "person.joined", LEE, {"invited_by": "test", **browser}),
            (KIM, "person.sign_in_failed", KIM, {"address": "192.0.2.1", "user_agent": "curl"}),
            (KIM, "person.signed_in", KIM, browser),
            (KIM, "person.password_changed", KIM, {}),
            (KIM, "person.signed_out", KIM, browser),
            (KIM, "person.signed_out_everywhere", KIM, {"sessions": 0}),
            (KIM, "person.invited", "anyone", {}),
            (KIM, "person.removed", LEE, {}),
        ]


@in_virtual_time
async def test_a_stranger_leaves_nothing_in_the_audit_but_takes_a_transaction_all_the_same(
    tmp_path: Path, monkeypatch: Any
) -> None:
    async with crew(tmp_path) as all_of_us:
        await all_of_us.join()
        before = await all_of_us.trail()
        write_nothing = mock.AsyncMock(side_effect=all_of_us.store.write_nothing)
        monkeypatch.setattr(all_of_us.store, "write_nothing", write_nothing)
        await all_of_us.fail("nobody@example.com")
        assert await all_of_us.trail() == before
        write_nothing.assert_awaited_once_with()


@in_virtual_time
async def test_what_a_browser_says_of_itself_is_cut(tmp_path: Path) -> None:
    async with crew(tmp_path) as all_of_us:
        kim, _ = await all_of_us.join()
        await all_of_us.people.sign_in(KIM, PASSWORD, "a" * 1000, "u" * 100_000)
        sessions = await all_of_us.people.sessions(kim.id)  # two, made at the same time: in no order
        assert (100, 300) in [(len(each.address), len(each.user_agent)) for each in sessions]
