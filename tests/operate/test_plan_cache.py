"""Plans are compiled once for as long as they are remembered, and not too many are."""

from __future__ import annotations

import pytest

from tracklayer.catalog import PlanLimits
from tracklayer.errors import Invalid
from tracklayer.model.destination import DestinationConfig, Transport
from tracklayer.operate.plan_cache import MOST_PLANS, PlanCache


def config(template: str) -> DestinationConfig:
    return DestinationConfig(name="d", transport=Transport(url="https://receiver.test"), template=template)


def test_an_equal_configuration_has_the_same_plan() -> None:
    plans = PlanCache(PlanLimits())
    assert plans.plan(config("{}")) is plans.plan(config("{}"))
    assert plans.plan(config("{}")) is not plans.plan(config("{ }"))


def test_what_was_not_asked_for_longest_is_forgotten_first() -> None:
    plans = PlanCache(PlanLimits())
    kept, forgotten = plans.plan(config("[0]")), plans.plan(config("[1]"))
    for number in range(2, MOST_PLANS + 1):
        plans.plan(config("[0]"))
        plans.plan(config(f"[{number}]"))
    assert plans.plan(config("[0]")) is kept
    assert plans.plan(config("[1]")) is not forgotten


def test_a_refusal_comes_every_time() -> None:
    plans = PlanCache(PlanLimits())
    for _ in range(2):
        with pytest.raises(Invalid):
            plans.plan(config("{{"))
