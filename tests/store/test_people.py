"""People, sessions and invitations in the store: what is one transaction holds as a whole or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE
from tracklayer.errors import Conflict, NotFound
from tracklayer.model.records import Invitation, Person, Session
from tracklayer.store import Database, PeopleStore

DAY = 86_400.0


@pytest.fixture
def store(database: Database) -> PeopleStore:
    return PeopleStore(database)


def person(name: str = "kim", workspace_id: str = WORKSPACE) -> Person:
    return Person(
        id=f"per_{name}",
        workspace_id=workspace_id,
        email=f"{name}@example.com",
        password_hash=f"hash of {name}",
        created_at=NOW,
    )


def session(hashed: str = "s1", of: str = "kim", **fields: Any) -> Session:
    made = Session(
        hash=hashed,
        person_id=f"per_{of}",
        created_at=NOW,
        seen_at=NOW,
        expires_at=NOW + DAY,
        address="192.0.2.1",
        user_agent="Firefox",
    )
    return msgspec.structs.replace(made, **fields)


def invitation(hashed: str = "i1", **fields: Any) -> Invitation:
    made = Invitation(
        hash=hashed,
        workspace_id=WORKSPACE,
        email=None,
        author="key_1",
        created_at=NOW,
        expires_at=NOW + DAY,
    )
    return msgspec.structs.replace(made, **fields)


async def join(store: PeopleStore, name: str = "kim", workspace_id: str = WORKSPACE) -> Person:
    """A person, signed in with the session `s-NAME`."""
    link = invitation(f"i-{name}", workspace_id=workspace_id)
    await store.add_invitation(link)
    joined = person(name, workspace_id)
    await store.join(link, joined, session(f"s-{name}", of=name), ending="nobody")
    return joined


async def test_who_joins_is_a_person_with_a_session_and_the_link_is_gone(store: PeopleStore) -> None:
    assert not await store.anyone()
    kim = await join(store)
    assert await store.anyone()
    assert await store.invitation("i-kim") is None
    assert await store.session("s-kim", NOW) == (kim, session("s-kim"))
    assert await store.person(kim.id) == await store.person_of("kim@example.com") == kim


async def test_one_link_makes_one_person_also_when_two_use_it_at_once(store: PeopleStore) -> None:
    link = invitation()
    await store.add_invitation(link)
    both = await asyncio.gather(
        *(store.join(link, person(name), session(name, of=name), ending="") for name in ("kim", "lee")),
        return_exceptions=True,
    )
    assert [type(each) for each in both if each is not None] == [NotFound]
    assert len(await store.people(WORKSPACE)) == 1


async def test_a_taken_email_leaves_the_link_as_it_was_and_nobody_new(store: PeopleStore) -> None:
    await join(store)
    link = invitation(email="kim@example.com")
    await store.add_invitation(link)
    again = msgspec.structs.replace(person(), id="per_other")
    with pytest.raises(Conflict, match="kim@example"):
        await store.join(link, again, session("s2", of="other"), ending="")
    assert await store.invitation("i1") == link
    assert await store.person("per_other") is None
    assert await store.session("s2", NOW) is None


async def test_joining_ends_the_links_of_one_author(store: PeopleStore) -> None:
    for name, author in (("i1", "key_1"), ("i2", "first run"), ("i3", "key_1")):
        await store.add_invitation(invitation(name, author=author))
    await store.join(invitation(), person(), session(), ending="first run")
    assert await store.invitation("i2") is None
    assert await store.invitation("i3") is not None


async def test_a_lone_invitation_replaces_those_of_its_author(store: PeopleStore) -> None:
    await store.add_invitation(invitation("other"))
    await store.add_invitation(invitation("old", author="first run"))
    await store.add_invitation(invitation("new", author="first run"), alone=True)
    assert [await store.invitation(name) is not None for name in ("other", "old", "new")] == [True, False, True]


async def test_an_expired_invitation_is_remembered_for_a_month(store: PeopleStore) -> None:
    await store.add_invitation(invitation("old"))
    for days, known in ((30, True), (32, False)):
        at = NOW + days * DAY
        await store.add_invitation(invitation(f"new{days}", created_at=at, expires_at=at + DAY))
        assert (await store.invitation("old") is not None) == known


async def test_people_are_listed_by_workspace_oldest_first(store: PeopleStore) -> None:
    one, two = await join(store, "a"), await join(store, "b")
    other = await join(store, "c", OTHER_WORKSPACE)
    assert await store.people(WORKSPACE) == [one, two]
    assert await store.people(OTHER_WORKSPACE) == [other]


async def test_a_session_ends_at_its_time_and_goes_when_the_next_begins(store: PeopleStore, database: Database) -> None:
    await join(store)
    assert await store.session("s-kim", NOW + DAY - 1) is not None
    assert await store.session("s-kim", NOW + DAY) is None
    assert await store.sessions("per_kim", NOW + DAY) == []
    later = session("s2", created_at=NOW + DAY, expires_at=NOW + 2 * DAY)
    await store.add_session(later)
    assert await store.sessions("per_kim", NOW) == [later]


async def test_seeing_a_session_moves_its_end_but_does_not_bring_it_back(store: PeopleStore) -> None:
    kim = await join(store)
    seen = session("s-kim", seen_at=NOW + 60, expires_at=NOW + 2 * DAY)
    await store.see(seen)
    assert await store.session("s-kim", NOW + DAY) == (kim, seen)
    await store.end_session("s-kim")
    await store.see(seen)
    assert await store.session("s-kim", NOW) is None


async def test_sessions_come_newest_first_and_end_together_without_those_of_others(store: PeopleStore) -> None:
    await join(store)
    lee = await join(store, "lee")
    newer = session("s2", created_at=NOW + 1)
    await store.add_session(newer)
    assert await store.sessions("per_kim", NOW) == [newer, session("s-kim")]
    assert await store.end_sessions("per_kim") == 2
    assert await store.sessions("per_kim", NOW) == []
    assert len(await store.sessions(lee.id, NOW)) == 1


async def test_a_new_password_ends_all_sessions_but_one(store: PeopleStore) -> None:
    await join(store)
    for name in ("s2", "s3"):
        await store.add_session(session(name))
    await store.set_password("per_kim", "new hash", keep="s2")
    assert [each.hash for each in await store.sessions("per_kim", NOW)] == ["s2"]
    changed = await store.person("per_kim")
    assert changed is not None
    assert changed.password_hash == "new hash"
    await store.set_password("per_kim", "newer hash")
    assert await store.sessions("per_kim", NOW) == []


async def test_a_rehash_does_not_undo_a_change_of_the_password(store: PeopleStore) -> None:
    await join(store)
    await store.rehash("per_kim", "hash of kim", "same password, new parameters")
    await store.rehash("per_kim", "hash of kim", "comes too late")
    found = await store.person("per_kim")
    assert found is not None
    assert found.password_hash == "same password, new parameters"


async def test_a_removed_person_is_gone_with_all_sessions(store: PeopleStore) -> None:
    kim = await join(store)
    await join(store, "lee")
    assert await store.remove(WORKSPACE, kim.id) == kim
    assert await store.person(kim.id) is None
    assert await store.session("s-kim", NOW) is None
    assert await store.session("s-lee", NOW) is not None
    with pytest.raises(NotFound, match="per_kim"):
        await store.remove(WORKSPACE, kim.id)


async def test_the_last_person_of_a_workspace_stays_and_nobody_elses_is_removed(store: PeopleStore) -> None:
    kim, other = await join(store), await join(store, "other", OTHER_WORKSPACE)
    with pytest.raises(Conflict, match="last person"):
        await store.remove(WORKSPACE, kim.id)
    with pytest.raises(NotFound):
        await store.remove(WORKSPACE, other.id)
    assert len(await store.people(WORKSPACE)) == len(await store.people(OTHER_WORKSPACE)) == 1
