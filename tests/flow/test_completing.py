"""What is known of a user joins the user's events, exactly and in the transaction that stores them."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.model.event import Event, event_to_json
from tracklayer.model.moment import rfc3339
from tracklayer.pipeline.member import member_key
from tracklayer.pipeline.normalize import normalize

AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 Version/17.4 Safari/604.1"


async def stored(world: World, event_id: str) -> Event:
    found = await world.service.history.event(world.workspace_id, event_id)
    assert found is not None
    return found.event


async def identify(world: World, **traits: Any) -> None:
    await world.send("i_1", event_name="identify", user_id="u_1", context={"traits": traits})


@in_virtual_time
async def test_the_traits_of_an_identify_join_the_events_of_the_same_user_later(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await identify(world, email="Ann@Shop.example", plan="gold")
        await world.send("e_1", user_id="u_1")
        await world.send("e_2", user_id="u_2")
        event = await stored(world, "e_1")
        assert event.user_data["email"] == "ann@shop.example"
        assert len(event.user_data["email_hash"]) == 64
        assert event.context["traits"]["plan"] == "gold"
        (note,) = [each for each in event.context["enriched"] if each["by"] == "traits"]
        assert "user_data.email" in note["paths"]
        assert "email" not in (await stored(world, "e_2")).user_data


@in_virtual_time
async def test_a_shared_browser_knows_the_traits_of_who_was_named_in_it_last(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        browser = {"anonymous_id": "browser"}
        ann = {"email": "ann@shop.example", "phone": "+14155550100"}
        await world.send("i_1", event_name="identify", user_id="ann", **browser, context={"traits": ann})
        await world.send("e_1", **browser)
        assert (await stored(world, "e_1")).user_data["phone"] == "+14155550100"
        await world.send("i_2", event_name="identify", user_id="ben", **browser)
        await world.send("e_2", **browser)
        assert (await stored(world, "e_2")).user_data == browser
        await world.send("i_3", event_name="identify", user_id="ben", **browser, context={"traits": {"plan": "free"}})
        await world.send("e_3", **browser)
        assert (await stored(world, "e_3")).context["traits"] == {"plan": "free"}
        await world.send("e_4", user_id="ann", **browser)
        assert (await stored(world, "e_4")).user_data["email"] == "ann@shop.example"


@in_virtual_time
async def test_what_an_event_says_itself_is_not_overruled(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await identify(world, email="old@shop.example")
        await world.send("e_1", user_id="u_1", user_data={"email": "new@shop.example"})
        assert (await stored(world, "e_1")).user_data["email"] == "new@shop.example"


@in_virtual_time
async def test_device_and_campaign_find_their_places_and_are_signed(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        page = {"url": "https://shop.example/?utm_source=news&gclid=abc"}
        await world.send("e_1", context={"user_agent": AGENT, "page": page})
        context = (await stored(world, "e_1")).context
        assert context["os"]["family"] == "iOS"
        assert context["campaign"]["source"] == "news"
        assert context["click_ids"]["gclid"] == "abc"
        assert {each["by"] for each in context["enriched"]} == {"user_agent", "campaign"}


@in_virtual_time
async def test_a_list_and_a_rule_make_the_segment_that_a_filter_asks_for(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        audiences = world.service.audiences
        await audiences.put(world.workspace_id, "vip_customers", None, author="test")
        await audiences.change_members(world.workspace_id, "vip_customers", add=["id:u_1"], author="test")
        await audiences.put(world.workspace_id, "big_spenders", {"properties.value": {"$gte": 100}}, author="test")
        await world.destination("d", filter={"segment": ["vip_customers"]})
        await world.send("e_1", user_id="u_1", properties={"value": 150})
        await world.send("e_2", user_id="u_2", properties={"value": 150})
        await world.all_end()
        assert (await stored(world, "e_1")).segment == ["big_spenders", "vip_customers"]
        assert (await stored(world, "e_2")).segment == ["big_spenders"]
        assert set(world.network.events("/d")) == {"e_1"}


@in_virtual_time
async def test_consent_is_remembered_and_stands_for_what_later_events_do_not_say(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", consent={"requires": ["ad_storage"], "when_unknown": "deny"})
        await world.send("e_1", user_id="u_1", consent={"ad_storage": "granted"})
        await asyncio.sleep(60)
        await world.send("e_2", user_id="u_1")
        await world.send("e_3", user_id="u_2")
        await world.all_end()
        event = await stored(world, "e_2")
        assert event.consent == {"ad_storage": "granted"}
        assert event.context["consent"]["by"] == "profile"
        assert set(world.network.events("/d")) == {"e_1", "e_2"}
        assert (await world.delivery("e_3")).state.value == "suppressed"


@in_virtual_time
async def test_a_consent_that_is_withdrawn_while_a_delivery_waits_keeps_it_from_being_sent(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        destination_id = await world.destination("d", consent={"requires": ["ad_storage"]})
        await world.pause(destination_id)
        await world.send("e_1", user_id="u_1", consent={"ad_storage": "granted"})
        await asyncio.sleep(60)
        await world.send("e_2", event_name="consent_changed", user_id="u_1", consent={"ad_storage": "denied"})
        await world.resume(destination_id)
        await world.all_end()
        assert world.network.sent == []
        delivery = await world.delivery("e_1")
        assert delivery.state.value == "suppressed"
        assert "ad_storage is denied" in (delivery.reason or "")


async def together(world: World, *events: dict[str, Any]) -> None:
    """Take different events in, as one request."""
    service, now = world.service, world.clock.now()
    parsed = [
        normalize({"event_name": "purchase"} | fields, now=now, new_id=service.ids.event_uuid) for fields in events
    ]
    await service.ingest.accept(world.workspace_id, parsed, now=now)


def at(second: int) -> str:
    """A moment before the tests begin."""
    return rfc3339(second - 3600.0)


@in_virtual_time
async def test_consent_that_an_event_says_holds_for_those_behind_it_in_the_same_request(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", consent={"requires": ["ad_storage"], "when_unknown": "deny"})
        await world.send("e_0", user_id="u_2", timestamp=at(0), consent={"ad_storage": "denied"})
        await together(
            world,
            {"event_id": "e_1", "user_id": "u_1", "timestamp": at(9), "consent": {"ad_storage": "granted"}},
            {"event_id": "e_2", "user_id": "u_1", "timestamp": at(10)},
            {"event_id": "e_3", "user_id": "u_2", "timestamp": at(9), "consent": {"ad_storage": "granted"}},
            {"event_id": "e_4", "user_id": "u_2", "timestamp": at(10)},
            {"event_id": "e_5", "user_id": "u_3", "timestamp": at(10)},
            {"event_id": "e_6", "user_id": "u_3", "timestamp": at(11), "consent": {"ad_storage": "granted"}},
        )
        await world.all_end()
        assert set(world.network.events("/d")) == {"e_1", "e_2", "e_3", "e_4", "e_6"}
        told = (await stored(world, "e_2")).context["consent"]
        assert told == {"by": "profile", "at": at(9)}


@in_virtual_time
async def test_a_denial_is_on_the_events_behind_it_in_the_same_request(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        keys = {"user_id": "u_1", "anonymous_id": "browser"}
        await together(
            world,
            {"event_id": "e_1", **keys, "timestamp": at(1), "consent": {"ad_storage": "granted", "sale": "granted"}},
            {"event_id": "e_2", **keys, "timestamp": at(2), "consent": {"ad_storage": "denied"}},
            {"event_id": "e_3", "anonymous_id": "browser", "timestamp": at(3)},
            {"event_id": "e_4", "user_id": "u_2", "timestamp": at(3)},
        )
        assert (await stored(world, "e_3")).consent == {"ad_storage": "denied", "sale": "granted"}
        assert (await stored(world, "e_4")).consent == {}
        await world.send("e_5", user_id="u_1")  # and so it is remembered
        assert (await stored(world, "e_5")).consent == {"ad_storage": "denied", "sale": "granted"}


@in_virtual_time
async def test_where_personal_data_are_dropped_an_address_of_long_ago_still_finds_its_list(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.service.workspaces.save_rules(world.workspace_id, {"drop_pii": True}, "test")
        audiences = world.service.audiences
        await audiences.put(world.workspace_id, "vip", None, author="test")
        member = member_key({"email": "ann@shop.example"})
        await audiences.change_members(world.workspace_id, "vip", add=[member], author="test")
        await identify(world, email="Ann@Shop.example")
        await world.send("e_1", user_id="u_1")
        event = await stored(world, "e_1")
        assert event.segment == ["vip"]
        assert event.user_data["email_hash"] == member.removeprefix("email:")
        assert b"shop.example" not in event_to_json(event)


@in_virtual_time
async def test_where_personal_data_are_dropped_hashes_stay_and_nothing_is_brought_back(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await identify(world, email="Ann@Shop.example", plan="gold")
        await world.service.workspaces.save_rules(world.workspace_id, {"drop_pii": True}, "test")
        await world.send("e_1", user_id="u_1", context={"ip": "203.0.113.7"})
        await world.send("i_2", event_name="identify", user_id="u_2", context={"traits": {"email": "bo@shop.example"}})
        await world.send("e_2", user_id="u_2")
        event = await stored(world, "e_1")
        assert "email" not in event.user_data
        assert len(event.user_data["email_hash"]) == 64
        assert "ip" not in event.context
        assert b"shop.example" not in event_to_json(event)
        assert b"bo@shop.example" not in event_to_json(await stored(world, "e_2"))


@in_virtual_time
async def test_who_has_another_address_since_personal_data_are_dropped_is_known_by_that_ones_hash(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as world:
        await identify(world, email="old@shop.example", phone="+15551230000")
        await world.service.workspaces.save_rules(world.workspace_id, {"drop_pii": True}, "test")
        await asyncio.sleep(1)
        traits = {"email": "new@shop.example", "phone": "+15551230001"}
        await world.send("i_2", event_name="identify", user_id="u_1", context={"traits": traits})
        await world.send("e_1", user_id="u_1")
        hashes = {
            "email_hash": sha256(b"new@shop.example").hexdigest(),
            "phone_hash": sha256(b"+15551230001").hexdigest(),
        }
        told = (await stored(world, "i_2"), await stored(world, "e_1"))
        assert [each.user_data for each in told] == [{"external_id": "u_1"} | hashes] * 2
        await world.service.workspaces.save_rules(world.workspace_id, {"drop_pii": False}, "test")
        await world.send("e_2", user_id="u_1")
        assert "email" not in (await stored(world, "e_2")).user_data


@in_virtual_time
async def test_what_is_personal_among_the_traits_of_a_group_is_dropped_too(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        group = {"id": "acme", "traits": {"email": "office@acme.example", "size": 9}}
        await world.send("g_1", event_name="group", user_id="u_1", context={"group": group})
        await world.service.workspaces.save_rules(world.workspace_id, {"drop_pii": True}, "test")
        await world.send("e_1", user_id="u_1")
        assert (await stored(world, "e_1")).context["group"] == {"id": "acme", "traits": {"size": 9}}


@in_virtual_time
async def test_who_comes_again_is_known_as_what_was_said_last(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.send("i_1", event_name="identify", user_id="u_1", context={"traits": {"email": "a@shop.example"}})
        await world.send("e_1", user_id="u_1")
        await world.send("e_2", user_id="u_1", user_data={"email": "mine@shop.example"})
        await asyncio.sleep(1)
        await world.send("i_2", event_name="identify", user_id="u_1", context={"traits": {"email": "b@shop.example"}})
        await world.send("e_3", user_id="u_1")
        emails = [(await stored(world, event_id)).user_data["email"] for event_id in ("e_1", "e_2", "e_3")]
        assert emails == ["a@shop.example", "mine@shop.example", "b@shop.example"]
