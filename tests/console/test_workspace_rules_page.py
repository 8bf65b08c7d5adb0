"""The form of the workspace's rules over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.console.client import Console
from tests.harness import Api
from tests.web.expect import ok

FORM: dict[str, Any] = {
    "default_region": "DE",
    "clock_skew": "yes",
    "enrichment": ["user_agent", "traits"],
    "event_names": '{"Bestellung": "purchase", "Order Completed": null}',
    "consent_defaults": '{"EEA": {"ad_storage": "denied"}}',
}


@pytest.fixture(autouse=True)
def untouched(console_api: Api) -> Iterator[dict[str, Any]]:
    """The rules before a test, which are put back after it."""
    rules: dict[str, Any] = ok(console_api.get("/v1/workspace"))["rules"]
    yield rules
    ok(console_api.put("/v1/workspace", {"rules": rules}))


def rules_of(api: Api) -> dict[str, Any]:
    rules: dict[str, Any] = ok(api.get("/v1/workspace"))["rules"]
    return rules


def checked(text: str) -> set[str]:
    """The ids of the boxes that are ticked."""
    return set(re.findall(r'<input id="([^"]+)"[^>]* type="checkbox"[^>]* checked', text))


def test_the_form_saves_every_rule_and_shows_them_again(console: Console, console_api: Api) -> None:
    page = console.follow(console.post("/settings/workspace/rules", FORM))
    assert "The rules are saved." in page.words
    assert rules_of(console_api) == {
        "default_region": "DE",
        "event_names": {"Bestellung": "purchase", "Order Completed": None},
        "drop_pii": False,
        "enrichment": {"user_agent": True, "campaign": False, "traits": True, "audiences": False, "geo": False},
        "consent_defaults": {"EEA": {"ad_storage": "denied"}},
        "clock_skew": True,
    }
    assert checked(page.text) == {"clock_skew", "enrichment-user_agent", "enrichment-traits"}
    assert 'value="DE"' in page.text
    assert "Bestellung" in page.text


def test_the_audit_has_who_changed_which_rules(console: Console) -> None:
    console.post("/settings/workspace/rules", FORM | {"default_region": "AT"})
    words = console.get("/audit", action="workspace.rules_saved").words
    assert "ana@example.com" in words
    assert "default_region" in words


def test_audiences_that_are_off_are_told_where_they_are_kept(console: Console) -> None:
    assert "Audiences are off" not in console.get("/audiences").words
    console.post("/settings/workspace/rules", FORM)
    assert "Audiences are off" in console.get("/audiences").words


@pytest.mark.parametrize(
    "field,text,words",
    [
        ("default_region", "XX", "'XX' has no phone numbers"),
        ("event_names", "{", "This is not JSON"),
        ("event_names", "[]", "Aliases are an object"),
        ("event_names", '{"a b": "x", "A_B": "y"}', "At /A_B: 'A_B' is the same as 'a b'"),
        ("event_names", '{"a": "b", "b": "a"}', "leads in a circle"),
        ("event_names", '{"a": 3}', "got `int`"),
        ("consent_defaults", '{"Atlantis": {"ads": "denied"}}', "At /Atlantis: 'Atlantis' is no region"),
        (
            "consent_defaults",
            '{"EEA": {"ads": "perhaps"}}',
            "At /EEA/ads: 'perhaps' is none of the values: expected denied or granted",
        ),
        ("consent_defaults", "no", "This is not JSON"),
    ],
)
def test_a_rule_that_cannot_be_is_told_at_its_field_and_nothing_is_saved(
    console: Console, console_api: Api, untouched: dict[str, Any], field: str, text: str, words: str
) -> None:
    page = console.post("/settings/workspace/rules", FORM | {field: text, "drop_pii": "yes"})
    assert page.status == 422
    assert words in page.errors
    assert f'id="{field}-error"' in page.text
    assert checked(page.text) == {"clock_skew", "drop_pii", "enrichment-user_agent", "enrichment-traits"}
    assert rules_of(console_api) == untouched


def test_an_empty_field_is_no_rule(console: Console, console_api: Api) -> None:
    console.post("/settings/workspace/rules", FORM | {"event_names": " ", "consent_defaults": ""})
    assert rules_of(console_api)["event_names"] == {}
    assert rules_of(console_api)["consent_defaults"] == {}


def test_a_form_from_before_somebody_elses_save_undoes_nothing_and_keeps_what_was_typed(
    console: Console, console_api: Api
) -> None:
    stale = FORM | console.get("/settings/workspace").hidden("seen")
    console.post("/settings/workspace/rules", stale | {"drop_pii": "yes"})
    page = console.post("/settings/workspace/rules", stale | {"default_region": "AT"})
    assert page.status == 409
    assert "Somebody else saved the rules meanwhile" in page.words
    assert 'value="AT"' in page.text
    assert rules_of(console_api)["drop_pii"] is True
    assert console.post("/settings/workspace/rules", stale | page.hidden("seen")).status == 409
    fresh = console.get("/settings/workspace").hidden("seen")
    assert console.post("/settings/workspace/rules", stale | fresh).status == 303
