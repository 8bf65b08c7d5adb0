"""Rehearsing what is not saved: the same gates, the same bytes, and nothing sent or stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.delivery.sign import verify
from tracklayer.errors import Invalid, NotFound
from tracklayer.model.event import encode_json
from tracklayer.operate.draft import read_draft
from tracklayer.operate.rehearsal import Rehearsal

SECRET = "dest_live_9f3b27"
VARYING = {"X-TrackLayer-Delivery-Id", "X-TrackLayer-Event-Id", "Idempotency-Key"}


def draft(**fields: Any) -> dict[str, Any]:
    return {
        "name": "d",
        "transport": {"url": "https://receiver.test/d", "headers": {"X-Environment": "{{properties.currency}}"}},
        "template": '{"type": "{{event_name}}", "value": {{properties.value}}, "coupon": "{{properties.coupon}}"}',
    } | fields


async def rehearse(world: World, given: dict[str, Any], standing_id: str | None = None, **event: Any) -> Rehearsal:
    rehearsals = world.service.rehearsals
    wanted = await rehearsals.event(world.workspace_id, {"event_name": "purchase"} | event) if event else None
    read = read_draft(encode_json(given))
    return await rehearsals.rehearse_draft(world.workspace_id, read, wanted, standing_id=standing_id)


def body(rehearsal: Rehearsal) -> bytes:
    assert rehearsal.shown is not None
    assert rehearsal.shown.body is not None
    return rehearsal.shown.body


@in_virtual_time
async def test_a_draft_is_rendered_as_its_destination_would_be(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        rehearsed = await rehearse(world, draft(signing={"secret": SECRET}))
        assert body(rehearsed) == b'{"type": "purchase", "value": 149.99, "coupon": ""}'
        assert [each.path for each in rehearsed.missing] == ["properties.coupon"]
        made = await world.destination(**draft(signing={"secret": SECRET}))
        previewed = await world.service.rehearsals.preview(world.workspace_id, made, None, {})
        assert previewed.shown is not None
        assert rehearsed.shown is not None
        assert (rehearsed.shown.method, rehearsed.shown.url) == (previewed.shown.method, previewed.shown.url)
        assert [each for each in rehearsed.shown.headers if each[0] not in VARYING] == [
            each for each in previewed.shown.headers if each[0] not in VARYING
        ]
        assert body(rehearsed) == body(previewed)


@in_virtual_time
async def test_nothing_is_sent_and_nothing_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        await rehearse(world, draft())
        assert world.network.sent == []
        assert world.service.destinations.all(world.workspace_id) == []
        assert await world.service.history.events(world.workspace_id, limit=1) == []


@in_virtual_time
async def test_it_is_signed_with_the_drafts_secret_or_the_standing_one(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", signing={"secret": SECRET})
        for given, standing_id, secret in (
            (draft(signing={"secret": "another_secret"}), None, "another_secret"),
            (draft(signing={"enabled": True}), made, SECRET),
            (draft(), made, SECRET),
            (draft(signing={"secret": "another_secret"}), made, "another_secret"),
        ):
            rehearsed = await rehearse(world, given, standing_id)
            assert rehearsed.prepared is not None
            request = rehearsed.prepared.request
            assert verify("tracklayer", secret, request.headers, request.body or b"")
            assert rehearsed.verified
        assert (await rehearse(world, draft())).verified is None
        assert (await rehearse(world, draft(signing={"enabled": False}), made)).verified is None


@in_virtual_time
async def test_filter_consent_and_the_standing_ones_suppressions_are_asked_first(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        refused = await rehearse(world, draft(filter={"event_name": ["refund"]}))
        assert refused.filter_reason == "event_name is 'purchase', expected one of 'refund'"
        assert refused.shown is None
        denied = await rehearse(world, draft(consent={"requires": ["ad_storage"]}), properties={})
        assert denied.consent is not None
        assert not denied.consent.allowed
        assert denied.shown is None
        made = await world.destination("d")
        await world.service.destinations.suppress(
            world.workspace_id, made, event_filter={}, reason="they are moving house", until=None, author="test"
        )
        assert "they are moving house" in str((await rehearse(world, draft(), made)).suppressed)
        assert (await rehearse(world, draft())).suppressed is None


@in_virtual_time
async def test_a_refusal_is_the_one_of_a_save(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        with pytest.raises(Invalid) as refused:
            await rehearse(world, draft(template="{{#if}}"))
        assert refused.value.pointer == "/template"
        with pytest.raises(Invalid) as refused:
            await rehearse(world, draft(signing={"enabled": True}))
        assert refused.value.pointer == "/signing/secret"
        with pytest.raises(NotFound):
            await rehearse(world, draft(), "dst_none")


@in_virtual_time
async def test_secrets_are_masked_and_one_that_is_absent_is_named(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        given = draft(template='{"t": "{{secrets.token}}"}')
        failed = await rehearse(world, given)
        assert failed.failure is not None
        assert "token" in failed.failure.detail
        await world.service.secrets.put(world.workspace_id, "token", "a-long-secret-3b27", author="test")
        assert body(await rehearse(world, given)) == '{"t": "••••3b27"}'.encode()


@in_virtual_time
async def test_another_event_for_the_same_draft_compiles_nothing_again(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        first, second = (
            await rehearse(world, draft(), properties={"value": 1}),
            await rehearse(world, draft(), properties={"value": 2}),
        )
        assert first.prepared is not None
        assert second.prepared is not None
        assert first.prepared.destination.plan is second.prepared.destination.plan
        assert (b'"value": 1' in body(first), b'"value": 2' in body(second)) == (True, True)
        other = await rehearse(world, draft(template="{}"))
        assert other.prepared is not None
        assert other.prepared.destination.plan is not first.prepared.destination.plan
