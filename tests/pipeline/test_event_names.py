"""What others call an event, and what it is called here."""

from __future__ import annotations

import pytest

from tracklayer.model.rules import WorkspaceRules, name_key
from tracklayer.pipeline.event_names import NAMES, canonical_name, is_endless


def named(name: str, own: dict[str, str | None] | None = None) -> str:
    return canonical_name(name, WorkspaceRules(event_names=own or {}).names_by_key)


@pytest.mark.parametrize(
    "alias, name",
    [
        ("Order Completed", "purchase"),
        ("Product Added", "add_to_cart"),
        ("Checkout Started", "initiate_checkout"),
        ("Signed Up", "lead"),
        ("Order Refunded", "refund_requested"),
        ("InitiateCheckout", "initiate_checkout"),
        ("begin_checkout", "initiate_checkout"),
        ("sign_up", "lead"),
        ("product_added_to_cart", "add_to_cart"),
    ],
)
def test_an_alias_becomes_its_canonical_name(alias: str, name: str) -> None:
    assert named(alias) == name


@pytest.mark.parametrize("spelling", ["order completed", "ORDER_COMPLETED", "order-completed", "Order  Completed"])
def test_case_does_not_matter_and_space_underscore_and_hyphen_are_one(spelling: str) -> None:
    assert named(spelling) == "purchase"


def test_a_canonical_name_is_recognised_in_another_spelling() -> None:
    assert named("Add To Cart") == "add_to_cart"
    assert named("PURCHASE") == "purchase"


@pytest.mark.parametrize("name", ["Garden Watered", "garden_watered", "purchases", "日本", "_"])
def test_a_name_that_nobody_knows_stays(name: str) -> None:
    assert named(name) == name


def test_every_name_in_the_table_is_canonical_and_no_alias_stands_twice() -> None:
    spelled = [name_key(each) for name, aliases in NAMES.items() for each in {name_key(name): name, **_by_key(aliases)}]
    assert len(spelled) == len(set(spelled))
    assert all(named(name) == name for name in NAMES)


def _by_key(names: tuple[str, ...]) -> dict[str, str]:
    return {name_key(each): each for each in names}


def test_a_workspaces_aliases_come_before_the_built_in_ones() -> None:
    assert named("Order Paid", {"order_paid": "purchase"}) == "purchase"
    assert named("Order Completed", {"Order Completed": "order_done"}) == "order_done"
    assert named("Order Completed", {"order completed": None}) == "Order Completed"
    assert named("Order Completed", {"something else": None}) == "purchase"


def test_an_alias_may_lead_to_an_alias() -> None:
    own: dict[str, str | None] = {"Order Paid": "Order Completed", "purchase": "Sale"}
    assert [named(each, own) for each in ("Order Paid", "Order Completed", "purchase", "sale")] == [
        "Sale",
        "Sale",
        "Sale",
        "sale",
    ]


def test_a_circle_is_endless() -> None:
    own: dict[str, str | None] = {"a": "b", "b": "a", "c": "c", "d": "purchase"}
    keys = WorkspaceRules(event_names=own).names_by_key
    assert [is_endless(name, keys) for name in "abcd"] == [True, True, False, False]
    long: dict[str, str | None] = {f"n{number}": f"n{number + 1}" for number in range(20)}
    assert is_endless("n0", long)
