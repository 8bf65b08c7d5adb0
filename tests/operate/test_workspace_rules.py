"""A workspace's rules: what may be saved, and what a refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import running
from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.model.rules import Enrichment, WorkspaceRules
from tracklayer.operate.workspace_rules import MOST_NAMES, read_rules


def refusal(**rules: Json) -> tuple[str | None, str]:
    with pytest.raises(Invalid) as refused:
        read_rules(rules)
    return refused.value.pointer, refused.value.code


def test_nothing_is_the_rules_as_from_the_start() -> None:
    assert read_rules({}) == WorkspaceRules()


def test_all_rules_are_read() -> None:
    names = {"Order Paid": "purchase", "Signed Up": None}
    defaults = {"EEA": {"ad_storage": "denied"}, "US-CA": {"ad_storage": "denied"}, "*": {"ad_storage": "granted"}}
    assert read_rules(
        {
            "default_region": "DE",
            "event_names": names,
            "drop_pii": True,
            "enrichment": {"geo": False},
            "consent_defaults": defaults,
            "clock_skew": False,
        }
    ) == WorkspaceRules(
        default_region="DE",
        event_names=dict(names),
        drop_pii=True,
        enrichment=Enrichment(geo=False),
        consent_defaults={region: {"ad_storage": "granted" if region == "*" else "denied"} for region in defaults},
        clock_skew=False,
    )


@pytest.mark.parametrize(
    "rules, pointer, code",
    [
        ({"default_region": "de"}, "/default_region", "invalid_region"),
        ({"default_region": "XX"}, "/default_region", "invalid_region"),
        ({"default_region": 5}, "/default_region", "wrong_type"),
        ({"drop_it": True}, "/drop_it", "unknown_field"),
        ({"enrichment": {"weather": True}}, "/enrichment/weather", "unknown_field"),
        ({"event_names": {"": "purchase"}}, "/event_names/", "empty"),
        ({"event_names": {"_ -": "purchase"}}, "/event_names/_ -", "ambiguous_name"),
        ({"event_names": {"x" * 201: "purchase"}}, "/event_names/" + "x" * 201, "too_long"),
        ({"event_names": {"a/b": ""}}, "/event_names/a~1b", "empty"),
        ({"event_names": {"a": "b\x00"}}, "/event_names/a", "control_character"),
        ({"event_names": {"a": " b"}}, "/event_names/a", "invalid_name"),
        ({"event_names": {"Order Paid": "a", "order_paid": "b"}}, "/event_names/order_paid", "ambiguous_name"),
        ({"event_names": {"a": "b", "b": "a"}}, "/event_names/a", "circle"),
        ({"event_names": {"purchase": "Order Completed"}}, "/event_names/purchase", "circle"),
        ({"event_names": {f"n{n}": "purchase" for n in range(MOST_NAMES + 1)}}, "/event_names", "too_many"),
        ({"consent_defaults": {"Europe": {}}}, "/consent_defaults/Europe", "invalid_region"),
        ({"consent_defaults": {"XX-1": {}}}, "/consent_defaults/XX-1", "invalid_region"),
        ({"consent_defaults": {"DE": {"": "denied"}}}, "/consent_defaults/DE/", "empty"),
        (
            {"consent_defaults": {"DE": {"ad_storage": "denied", "adStorage": "granted"}}},
            "/consent_defaults/DE/adStorage",
            "ambiguous_name",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_place(rules: dict[str, Json], pointer: str, code: str) -> None:
    assert refusal(**rules) == (pointer, code)


def test_a_consent_state_is_granted_or_denied() -> None:
    _, code = refusal(consent_defaults={"DE": {"ad_storage": "maybe"}})
    assert code == "wrong_type"


def test_an_alias_of_an_alias_is_no_circle() -> None:
    read_rules({"event_names": {"Order Paid": "Order Completed", "purchase": "Sale", "sale": "Sale"}})


@in_virtual_time
async def test_saved_rules_hold_for_the_next_event_and_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        workspaces = world.service.workspaces
        assert workspaces.rules(world.workspace_id) == WorkspaceRules()
        saved = await workspaces.save_rules(world.workspace_id, {"default_region": "DE"}, "kim@example.com")
        assert saved == workspaces.rules(world.workspace_id) == WorkspaceRules(default_region="DE")
        event = await world.service.rehearsals.event(
            world.workspace_id, {"event_name": "purchase", "user_data": {"phone": "030 123456"}}
        )
        assert event.user_data["phone"] == "+4930123456"
        (entry,) = await world.service.audit.page(world.workspace_id, limit=1)
        assert (entry.actor, entry.action, entry.target, entry.detail) == (
            "kim@example.com",
            "workspace.rules_saved",
            workspaces.workspace(world.workspace_id).name,
            {"changed": ["default_region"]},
        )
        await world.service.catalog.load()
        assert workspaces.rules(world.workspace_id).default_region == "DE"
