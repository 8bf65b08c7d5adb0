"""Routing: filter, then consent, then an operator's suppression, each with its reason."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.store.samples import NOW, destination, event
from tracklayer.catalog import ActiveSuppression, Destination, PlanLimits, Tenant, compile_plan
from tracklayer.flow.routing import admit, route
from tracklayer.model.destination import Consent, DestinationConfig
from tracklayer.model.event import Event
from tracklayer.model.records import Suppression, Workspace
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.filter import compile_filter
from tracklayer.pipeline.route import RouteTable

NEEDS_ADS = Consent(requires=["ad_storage"])


def made(
    destination_id: str,
    *,
    wants: dict[str, Any] | None = None,
    consent: Consent | None = None,
    suppressed: dict[str, Any] | None = None,
    until: float | None = None,
) -> Destination:
    """A destination, compiled."""
    raw = {"name": destination_id, "transport": {"url": "https://receiver.example.com"}, "filter": wants or {}}
    config = msgspec.structs.replace(msgspec.convert(raw, DestinationConfig), consent=consent)
    record = destination(destination_id, config=config)
    suppressions = []
    if suppressed is not None:
        rule = Suppression(
            id="sup_1",
            workspace_id=record.workspace_id,
            destination_id=destination_id,
            filter=suppressed,
            reason="the receiver is being moved",
            author="key_1",
            created_at=NOW,
            until=until,
        )
        suppressions.append(ActiveSuppression(record=rule, filter=compile_filter(suppressed)))
    return Destination(
        record=record,
        plan=compile_plan(config, PlanLimits()),
        signing_secret=None,
        previous_secret=None,
        suppressions=tuple(suppressions),
    )


def tenant(*destinations: Destination) -> Tenant:
    """A workspace with those destinations."""
    return Tenant(
        workspace=Workspace(id="ws_1", name="main", created_at=NOW),
        rules=WorkspaceRules(),
        destinations={each.id: each for each in destinations},
        routes=RouteTable((each.plan.filter, each) for each in destinations),
        secrets={},
        sealed={},
    )


def purchase(**consent: str) -> Event:
    return msgspec.structs.replace(event(name="purchase"), consent=consent)


def test_an_event_goes_to_every_destination_whose_filter_it_matches_in_their_order() -> None:
    found = route(
        tenant(
            made("dst_b", wants={"event_name": ["purchase", "lead"]}),
            made("dst_c", wants={"event_name": ["lead"]}),
            made("dst_a"),
        ),
        purchase(),
        NOW,
    )
    assert [(each.destination.id, each.suppressed) for each in found] == [("dst_b", None), ("dst_a", None)]


@pytest.mark.parametrize(
    "consent, goes", [({"ad_storage": "granted"}, True), ({"ad_storage": "denied"}, False), ({}, False)]
)
def test_what_consent_forbids_is_routed_as_suppressed_with_the_category(consent: dict[str, str], goes: bool) -> None:
    (routed,) = route(tenant(made("dst_1", consent=NEEDS_ADS)), purchase(**consent), NOW)
    if goes:
        assert routed.suppressed is None
    else:
        assert routed.suppressed is not None
        assert routed.suppressed.startswith("consent: ")
        assert "ad_storage" in routed.suppressed


def test_a_suppression_names_itself_and_its_reason() -> None:
    (routed,) = route(tenant(made("dst_1", suppressed={})), purchase(), NOW)
    assert routed.suppressed == "suppression sup_1: the receiver is being moved"


def test_consent_is_asked_before_the_operator() -> None:
    reason = admit(made("dst_1", consent=NEEDS_ADS, suppressed={}), purchase(), NOW).stopped
    assert reason is not None
    assert reason.startswith("consent: ")
    reason = admit(made("dst_1", consent=NEEDS_ADS, suppressed={}), purchase(ad_storage="granted"), NOW).stopped
    assert reason is not None
    assert reason.startswith("suppression sup_1")


@pytest.mark.parametrize("now, stops", [(NOW, True), (NOW + 59.9, True), (NOW + 60, False)])
def test_a_suppression_that_has_ended_stops_nothing(now: float, stops: bool) -> None:
    reason = admit(made("dst_1", suppressed={}, until=NOW + 60), purchase(), now).stopped
    assert (reason is not None) is stops


def test_what_one_destination_may_not_have_the_next_one_may() -> None:
    found = route(
        tenant(made("dst_1", consent=NEEDS_ADS), made("dst_2", suppressed={"platform": ["web"]}), made("dst_3")),
        purchase(),
        NOW,
    )
    assert [(each.destination.id, each.suppressed is None) for each in found] == [
        ("dst_1", False),
        ("dst_2", True),
        ("dst_3", True),
    ]
