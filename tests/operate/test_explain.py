"""What would become of an event that somebody pasted: every destination's answer, and nothing stored."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.geo_file import write_geo_file
from tests.virtual_time import in_virtual_time
from tests.world import World, running, status
from tracklayer.errors import Invalid, NotFound
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.event import Json
from tracklayer.model.moment import rfc3339
from tracklayer.operate.explain import Explanation


async def verdicts(world: World, fields: dict[str, Json]) -> dict[str, Explanation]:
    _, found = await world.service.explain.verdicts(world.workspace_id, fields)
    return {each.destination.plan.config.name: each for each in found}


@in_virtual_time
async def test_every_destination_says_what_it_would_do_and_why(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("wants_it", filter={"event_name": ["purchase"]})
        await world.destination("wants_refunds", filter={"event_name": ["refund"], "platform": ["web"]})
        await world.destination("asks_consent", consent={"requires": ["ad_storage"]})
        await world.destination("draft", status="draft")
        suppressed = await world.destination("suppressed")
        await world.service.destinations.suppress(
            world.workspace_id, suppressed, event_filter={}, reason="they move", until=None, author="test"
        )
        found = await verdicts(world, {"event_name": "purchase", "platform": "web"})
        assert {name: (each.matched, all(step.passed for step in each.steps)) for name, each in found.items()} == {
            "wants_it": (True, True),
            "wants_refunds": (False, False),
            "asks_consent": (True, False),
            "draft": (True, False),
            "suppressed": (True, False),
        }
        assert found["wants_it"].reason == "a delivery would be made and sent"
        assert "refund" in found["wants_refunds"].reason
        assert [step.step for step in found["wants_refunds"].steps] == [
            "status",
            "filter event_name",
            "filter platform",
        ]
        assert "ad_storage" in found["asks_consent"].reason
        assert "draft" in found["draft"].reason
        assert "they move" in found["suppressed"].reason
        assert await world.deliveries() == []


@in_virtual_time
async def test_it_foretells_what_comes_true(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("a", filter={"properties.value": {"$gte": 100}})
        await world.destination("b", filter={"properties.value": {"$lt": 100}})
        foretold = await verdicts(world, {"event_name": "purchase", "properties": {"value": 5}})
        await world.send("ord_1", properties={"value": 5})
        _, explained = await world.service.explain.event(world.workspace_id, "ord_1")
        for each in explained:
            told = foretold[each.destination.plan.config.name]
            assert (told.matched, told.steps) == (each.matched, each.steps[:-1])
        assert {each.destination.plan.config.name for each in explained if each.delivery} == {
            name for name, each in foretold.items() if all(step.passed for step in each.steps)
        }


@in_virtual_time
async def test_it_sees_what_is_added_to_an_event_and_what_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        service = world.service
        await service.audiences.put(world.workspace_id, "vip", None, author="kim")
        await service.audiences.change_members(world.workspace_id, "vip", add=["id:u_1"], author="kim")
        await service.audiences.put(world.workspace_id, "big", {"properties.value": {"$gte": 100}}, author="kim")
        await world.send("known", event_name="identify", user_id="u_1", context={"traits": {"plan": "pro"}})
        for name, wanted in {
            "listed": {"segment": ["vip"]},
            "ruled": {"segment": ["big"]},
            "known": {"context.traits.plan": "pro"},
            "read": {"context.campaign.source": "news"},
            "personal": {"user_data.email": {"$exists": True}},
        }.items():
            await world.destination(name, filter=wanted)
        await service.workspaces.save_rules(world.workspace_id, {"drop_pii": True}, "kim")
        fields = {
            "event_name": "purchase",
            "user_id": "u_1",
            "user_data": {"email": "jane@example.com"},
            "properties": {"value": 500},
            "context": {"page": {"url": "https://shop.example/?utm_source=news"}},
        }
        foretold = await verdicts(world, fields)
        assert {name for name, each in foretold.items() if each.matched} == {"listed", "ruled", "known", "read"}
        await world.send("live", **fields)
        _, explained = await service.explain.event(world.workspace_id, "live")
        for each in explained:
            assert foretold[each.destination.plan.config.name].steps == each.steps[:-1]


@in_virtual_time
async def test_a_region_by_the_address_counts_for_the_default_of_consent(tmp_path: Path) -> None:
    geo = write_geo_file(tmp_path / "places.mmdb", {"203.0.113.0/24": {"country": {"iso_code": "DE"}}})
    async with running(tmp_path / "data", geo_file=geo) as world:
        await world.destination("ads", consent={"requires": ["ad_storage"], "when_unknown": "allow"})
        rules = {"consent_defaults": {"EEA": {"ad_storage": "denied"}}}
        await world.service.workspaces.save_rules(world.workspace_id, rules, "kim")
        found = await verdicts(world, {"event_name": "x", "context": {"ip": "203.0.113.9"}})
        assert found["ads"].reason == "ad_storage is denied by the default of EEA"


@in_virtual_time
async def test_aliases_are_read_and_what_is_no_event_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", filter={"user_data.external_id": "u_1"})
        event, (told,) = await world.service.explain.verdicts(world.workspace_id, {"event_name": "x", "user_id": "u_1"})
        assert (told.matched, event.user_data["external_id"]) == (True, "u_1")
        assert told.destination.record.status is DestinationStatus.ACTIVE
        assert told.destination.id == made
        with pytest.raises(Invalid) as refused:
            await verdicts(world, {"event_id": "x"})
        assert refused.value.pointer == "/event_name"


async def explained(world: World, event_id: str) -> Explanation:
    _, (found,) = await world.service.explain.event(world.workspace_id, event_id)
    return found


@in_virtual_time
async def test_what_the_receiver_put_off_says_until_when_and_resuming_ends_that(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        world.network.script("/d", status(429, retry_after="7200"), status(200))
        made = await world.destination("d", retry={"backoff": "1s", "jitter": 0})
        await world.send("first")
        await asyncio.sleep(1)
        await world.send("second")
        await asyncio.sleep(1)
        found = await explained(world, "second")
        until = rfc3339(world.clock.now() + 7198)[:19]
        (step,) = [each for each in found.steps if each.step == "hold"]
        assert not step.passed
        assert f"asked to wait (Retry-After): nothing is sent before {until}" in step.reason
        assert "due at" in (await explained(world, "first")).reason
        assert any(f"before {until}" in each for each in await warnings(world, made))
        assert await world.delivery("second") == found.delivery
        await world.pause(made)
        await world.resume(made)
        assert await warnings(world, made) == []
        await asyncio.sleep(1)
        assert (await explained(world, "second")).reason.endswith("is delivered after 1 attempt")


async def warnings(world: World, destination_id: str) -> list[str]:
    found = world.service.destinations.get(world.workspace_id, destination_id)
    return await world.service.reviews.warnings(found)


@in_virtual_time
async def test_what_waits_for_its_turn_says_for_which(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", rate_limit={"events_per_second": 0.5, "burst": 1}, ordering="per_user")
        await world.send("first", "second", user_id="u_1")
        await asyncio.sleep(0.5)
        told = (await explained(world, "second")).reason
        assert told.endswith(
            "it waits for its turn under the rate limit of 0.5 a second and behind the earlier events of its user"
        )


@in_virtual_time
async def test_an_event_is_explained_by_the_version_that_it_met(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", filter={"platform": "web"})
        await world.send("shop", platform="shopify")
        await asyncio.sleep(1)
        await world.change(made, "d", filter={"platform": "shopify"})
        found = await explained(world, "shop")
        assert not found.matched
        assert found.reason.startswith("version 1, in force then: platform is 'shopify', expected 'web'")
        assert found.steps[0].reason == "version 1 was in force when the event was received; by now it is 2"
        await world.send("shop_2", platform="shopify")
        await asyncio.sleep(1)
        await world.change(made, "d", filter={"platform": "web"})
        again = await explained(world, "shop_2")
        assert (again.matched, again.destination.record.version) == (True, 3)
        assert again.reason.endswith("is delivered after 1 attempt")


@in_virtual_time
async def test_an_event_that_met_a_draft_says_what_is_known_of_that(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", status="draft")
        await world.send("ord_1")
        await world.resume(made)
        assert "the destination was a draft then" in (await explained(world, "ord_1")).reason


@in_virtual_time
async def test_what_could_not_be_rendered_says_what_was_wrong(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d", template='{"to": "{{secrets.nope}}"}')
        await world.send("ord_1")
        await world.all_end()
        assert "there is no secret" in (await explained(world, "ord_1")).reason
        reason = (await world.delivery("ord_1")).reason
        assert reason is not None
        assert reason.startswith("a request that cannot be rendered is never retried: ")
        assert "nope" in reason


@in_virtual_time
async def test_a_deleted_destination_still_tells_what_became_of_its_delivery(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.send("ord_1")
        await world.all_end()
        await world.delete(made, discard=True)
        found = await explained(world, "ord_1")
        assert found.destination.id == made
        assert found.steps[0].reason.startswith("the destination was deleted at ")
        assert found.reason.endswith("is delivered after 1 attempt")


@in_virtual_time
async def test_what_waits_for_a_paused_destination_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.pause(await world.destination("d"))
        await world.send("e_1")
        _, (found,) = await world.service.explain.event(world.workspace_id, "e_1")
        assert found.reason.endswith("is pending after 0 attempts: it waits until the destination is resumed")


@in_virtual_time
async def test_one_attempt_is_one(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await world.destination("d")
        await world.send("e_1")
        await world.all_end()
        _, (found,) = await world.service.explain.event(world.workspace_id, "e_1")
        assert found.reason.endswith("is delivered after 1 attempt")


@in_virtual_time
async def test_what_came_while_a_destination_was_a_draft_says_so_once_it_is_live(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", status="draft")
        await world.send("e_1")
        await asyncio.sleep(1)
        await world.resume(made)
        await asyncio.sleep(1)
        await world.pause(made)
        await world.resume(made)
        _, (found,) = await world.service.explain.event(world.workspace_id, "e_1")
        assert found.reason == found.steps[0].reason
        assert found.reason.startswith("the destination was a draft when the event was received")
        assert [step.passed for step in found.steps] == [False, True, True, True, False]


@in_virtual_time
async def test_an_event_that_is_not_there_may_have_been_rejected(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        with pytest.raises(NotFound, match="/v1/rejected"):
            await world.service.explain.event(world.workspace_id, "e_1")


@pytest.mark.parametrize(
    "stored, step",
    [
        ({"template": "{{#if}"}, "platform is 'web'"),
        ({"filter": {"platfrom": "web"}}, "it cannot be read any more: /filter/platfrom: "),
    ],
)
@in_virtual_time
async def test_a_deleted_destination_whose_configuration_is_not_valid_any_more_keeps_no_event_from_being_explained(
    tmp_path: Path, stored: dict[str, Json], step: str
) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", filter={"platform": "web"})
        await world.send("ord_1", platform="web")
        await world.all_end()
        await world.delete(made, discard=True)
        await world.stored_otherwise(made, **stored)
        found = await explained(world, "ord_1")
        assert found.reason.endswith("is delivered after 1 attempt")
        assert any(each.reason.startswith(step) for each in found.steps), found.steps


@in_virtual_time
async def test_a_version_that_is_not_valid_any_more_is_named_where_an_event_met_it(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", filter={"platform": "web"})
        await world.send("ord_1", platform="web")
        await asyncio.sleep(1)
        await world.change(made, "d", filter={"platform": "shopify"})
        await world.stored_otherwise(made, filter={"platfrom": "web"})
        found = await explained(world, "ord_1")
        assert found.reason.endswith("is delivered after 1 attempt")
        assert [each.reason.partition(": ")[0] for each in found.steps[:3:2]] == [
            "version 1 was in force when the event was received; by now it is 2",
            "it cannot be read any more",
        ]


@in_virtual_time
async def test_one_that_cannot_be_used_as_it_is_stored_tells_what_its_deliveries_wait_for(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d")
        await world.stored_otherwise(made, retry={"backoff": "soon"})
    async with running(tmp_path) as world:
        await world.send("ord_1")
        found = await explained(world, "ord_1")
        assert found.reason.endswith("is pending after 0 attempts: it waits until the destination is saved otherwise")
        assert found.steps[0].reason.startswith(
            "the destination cannot be used, and its deliveries wait: /retry/backoff: "
        )
