"""What is known of users, over the database: as it was written, in one pass."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Connection, insert

from tests.store.samples import NOW, OTHER_WORKSPACE, WORKSPACE, event, remember, remembered
from tracklayer.model.facts import NO_FACTS, FactKeys, Facts, Group, Traits, fact_keys
from tracklayer.model.profile import ProfileUpdate
from tracklayer.pipeline.member import member_key
from tracklayer.store import Database
from tracklayer.store.facts import FactsReader, Memories
from tracklayer.store.tables import audience_members

U1 = FactKeys(("u_1",), None, ())


class Known:
    """Facts, in transactions of their own."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.reader, self.memories = FactsReader(database), Memories(database)

    async def say(self, user_key: str, *, at: float = NOW, workspace: str = WORKSPACE, **said: Any) -> None:
        updates = {workspace: [ProfileUpdate(user_key=user_key, at=at, **said)]}
        await remembered(self.database, updates)

    async def of(self, keys: FactKeys, workspace: str = WORKSPACE) -> Facts:
        (found,) = await self.database.write(lambda connection: self.reader.read(connection, workspace, [keys]))
        return found


@pytest.fixture
def known(database: Database) -> Known:
    return Known(database)


async def test_of_whom_nothing_is_known_there_are_no_facts(known: Known) -> None:
    assert await known.of(FactKeys(("u_1",), None, ("id:u_1",))) is NO_FACTS
    assert await known.of(FactKeys((), None, ())) is NO_FACTS


async def test_traits_and_consent_come_back_digit_for_digit_and_what_was_taken_away_does_not(known: Known) -> None:
    await known.say("u_1", traits={"ltv": Decimal("149.90"), "plan": "pro"}, consent={"ad_storage": "denied"})
    await known.say("u_1", at=NOW + 1, traits={"plan": None})
    facts = await known.of(U1)
    assert str(facts.traits["ltv"]) == "149.90"
    assert facts == Facts(traits={"ltv": Decimal("149.90")}, consent={"ad_storage": ("denied", NOW)})


async def test_traits_are_the_very_same_again_but_for_those_that_are_too_many_to_remember(known: Known) -> None:
    for count, are_remembered in ((5, True), (500, False)):
        await known.say(f"u_{count}", traits={f"t{number}": count for number in range(count)})
        first, again = [(await known.of(FactKeys((f"u_{count}",), None, ()))).traits for _ in range(2)]
        assert first == again
        assert (type(first) is Traits, first is again) == (are_remembered, are_remembered)


async def test_consent_is_joined_over_the_keys_of_a_user_and_traits_are_of_the_first(known: Known) -> None:
    await known.say("u_1", traits={"a": 1}, consent={"ad_storage": "granted", "analytics_storage": "denied"})
    await known.say("browser", at=NOW + 1, traits={"b": 2}, consent={"ad_storage": "denied"})
    await known.say("browser", at=NOW + 1, consent={"analytics_storage": "granted", "sale": "granted"})
    facts = await known.of(FactKeys(("u_1", "browser"), None, ()))
    assert facts.traits == {"a": 1}
    assert facts.consent == {
        "ad_storage": ("denied", NOW + 1),
        "analytics_storage": ("denied", NOW),
        "sale": ("granted", NOW + 1),
    }


async def test_another_workspace_knows_nothing_of_it(known: Known) -> None:
    await known.say("u_1", traits={"plan": "pro"})
    assert await known.of(U1, OTHER_WORKSPACE) is NO_FACTS


async def test_a_user_brings_the_traits_of_the_group_and_a_group_that_the_event_names_comes_first(known: Known) -> None:
    await known.say("u_1", group="acme")
    await known.say("group:acme", traits={"size": 9})
    assert (await known.of(U1)).group == Group(id="acme", traits={"size": 9})
    assert (await known.of(FactKeys(("u_1",), "other", ()))).group == Group(id="other")


async def test_a_user_is_in_every_audience_that_lists_one_of_the_keys(known: Known) -> None:
    rows = [
        {"workspace_id": workspace, "member": member, "audience": audience, "added_at": NOW}
        for workspace, member, audience in (
            (WORKSPACE, "id:u_1", "vip"),
            (WORKSPACE, "email:ab", "b2b"),
            (WORKSPACE, "id:u_2", "none_of_mine"),
            (OTHER_WORKSPACE, "id:u_1", "elsewhere"),
        )
    ]
    await known.database.write(lambda connection: connection.execute(insert(audience_members), rows))
    facts = await known.of(FactKeys(("u_1",), None, ("id:u_1", "email:ab")))
    assert facts.audiences == {"vip", "b2b"}


async def test_a_list_of_addresses_names_the_user_whose_address_is_known(known: Known) -> None:
    await known.say("u_1", traits={"email": "Jane@example.com"})
    row = {"workspace_id": WORKSPACE, "member": member_key({"email": "jane@example.com"}), "audience": "vip"}
    await known.database.write(lambda connection: connection.execute(insert(audience_members), [row | {"added_at": 0}]))
    assert (await known.of(FactKeys(("u_1",), None, ("id:u_1",)))).audiences == {"vip"}
    assert (await known.of(FactKeys(("u_1",), None, ("email:another",)))).audiences == frozenset()
    assert (await known.of(FactKeys(("u_1",), None, None))).audiences == frozenset()


async def test_a_batch_is_read_and_written_at_once_and_each_update_sees_the_one_before(known: Known) -> None:
    def work(connection: Connection) -> list[Facts]:
        remember(
            known.database,
            connection,
            {
                WORKSPACE: [
                    ProfileUpdate(user_key="u_1", traits={"a": 1}, at=NOW),
                    ProfileUpdate(user_key="u_1", traits={"b": 2}, at=NOW),
                    ProfileUpdate(user_key="u_2", traits={"c": 3}, at=NOW),
                ]
            },
        )
        assert known.reader.read(connection, OTHER_WORKSPACE, []) == []
        return known.reader.read(connection, WORKSPACE, [U1, FactKeys(("u_2",), None, ()), U1])

    found = await known.database.write(work)
    assert [facts.traits for facts in found] == [{"a": 1, "b": 2}, {"c": 3}, {"a": 1, "b": 2}]


async def test_of_many_who_merge_into_the_same_profiles_at_once_nobody_is_forgotten(known: Known) -> None:
    async def say(number: int) -> None:
        both = [ProfileUpdate(user_key=key, traits={f"t{number}": number}, at=NOW) for key in ("u_1", "u_2")]
        said = {WORKSPACE: both[:: 1 if number % 2 else -1]}
        await remembered(known.database, said)

    await asyncio.gather(*map(say, range(20)))
    for key in ("u_1", "u_2"):
        assert (await known.of(FactKeys((key,), None, ()))).traits == {f"t{number}": number for number in range(20)}


@pytest.mark.parametrize("is_known", [False, True])
async def test_within_a_transaction_what_is_remembered_is_known_as_if_it_were_read_again(
    known: Known, is_known: bool
) -> None:
    if is_known:
        await known.say("u_1", traits={"email": "a@example.com", "plan": "pro"}, consent={"sale": "granted"})
    updates = [
        ProfileUpdate(user_key="u_1", traits={"plan": None, "ltv": Decimal("149.90")}, group="acme", at=NOW + 1),
        ProfileUpdate(user_key="u_1", consent={"ad_storage": "denied"}, at=NOW + 2),
        ProfileUpdate(user_key="group:acme", traits={"size": 9}, at=NOW + 1),
    ]

    def work(connection: Connection) -> Facts:
        memory = known.memories.within(connection)
        memory.facts(WORKSPACE, [U1])
        memory.remember({WORKSPACE: updates})
        (found,) = memory.facts(WORKSPACE, [U1])
        memory.write()
        return found

    assert await known.database.write(work) == await known.of(U1)
    assert (await known.of(U1)).group == Group(id="acme", traits={"size": 9})


async def test_a_transaction_that_fails_keeps_nothing(known: Known) -> None:
    def work(connection: Connection) -> None:
        remember(known.database, connection, {WORKSPACE: [ProfileUpdate(user_key="u_1", traits={"a": 1}, at=NOW)]})
        raise LookupError

    with pytest.raises(LookupError):
        await known.database.write(work)
    assert await known.of(U1) is NO_FACTS


def test_the_keys_of_an_event_are_those_of_its_user_and_of_the_group_that_it_names() -> None:
    of = event(user={"external_id": "u_1", "anonymous_id": "a", "email_hash": "ab"})
    assert fact_keys(of) == FactKeys(("u_1", "anonymous:a"), None, ("id:u_1", "email:ab"))
    assert fact_keys(of, members=False) == FactKeys(("u_1", "anonymous:a"), None, None)
    of.context["group"] = {"id": "acme"}
    assert fact_keys(of).group == "acme"
    of.context["group"] = "acme"
    assert fact_keys(of).group is None
    assert not fact_keys(event()).any
