"""Audiences over HTTP, as a browser without scripts uses them."""

from __future__ import annotations

import json
import re
from itertools import count

import pytest

from tests.console.client import Console, Page
from tests.harness import Api

_numbers = count()


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"audience_{next(_numbers)}"


@pytest.fixture
def vip(console: Console, name: str) -> str:
    """An empty list."""
    made = console.post("/audiences", {"name": name, "kind": "list"})
    assert made.location == f"/audiences/{name}", made.words
    return name


def make_rule(console: Console, name: str, rule: object) -> None:
    made = console.post("/audiences", {"name": name, "kind": "rule", "rule": json.dumps(rule)})
    assert made.location == f"/audiences/{name}", made.words


def listed(api: Api, name: str) -> list[str]:
    """The external ids on a list, as the API tells them."""
    return [each["external_id"] for each in api.get(f"/v1/audiences/{name}/members", limit=100).body["data"]]


def upload(console: Console, name: str, content: bytes, **fields: str) -> Page:
    return console.upload(f"/audiences/{name}/members/csv", fields, "file", content)


def test_audiences_are_for_who_is_signed_in(console_url: str) -> None:
    for page in ("/audiences", "/audiences/vip"):
        assert Console(console_url).get(page).status == 303


def test_the_rail_leads_to_the_audiences_and_the_bar_of_phones_keeps_its_five(console: Console) -> None:
    page = console.get("/audiences").text
    rail, bar = page.split('class="bottom-bar"')
    assert 'href="/audiences" data-go="u" aria-current="page"' in rail
    assert bar.partition("</nav>")[0].count("<a ") == 5
    menu = page.partition('class="menu-narrow"')[2].partition("</span>")[0]  # what the bar leaves out
    assert re.findall(r'href="([^"]+)"', menu) == ["/audiences", "/settings/sources", "/audit"]


def test_a_list_and_a_rule_are_made_and_stand_in_the_list(console: Console, console_api: Api, name: str) -> None:
    console.post("/audiences", {"name": name, "kind": "list"})
    make_rule(console, f"{name}.rule", {"properties.value": {"$gte": 100}})
    words = console.get("/audiences").words
    assert f"{name} list 0" in words
    assert f"{name}.rule rule –" in words
    assert console_api.get(f"/v1/audiences/{name}").body["static"] is True
    assert console_api.get(f"/v1/audiences/{name}.rule").body["rule"] == {"properties.value": {"$gte": 100}}


@pytest.mark.parametrize(
    "fields,words",
    [
        ({"name": "a b", "kind": "list"}, "'a b' is not a name for an audience"),
        ({"name": "kept", "kind": "rule", "rule": ""}, "Say who belongs to it"),
        ({"name": "kept", "kind": "rule", "rule": "{"}, "This is not JSON"),
        ({"name": "kept", "kind": "rule", "rule": "[1]"}, "A rule is an object"),
        ({"name": "kept", "kind": "list", "rule": '{"platform": ["web"]}'}, "A list has no rule"),
        ({"name": "kept", "kind": "rule", "rule": '{"properties.x": {"$no": 1}}'}, "At /properties.x/$no: "),
    ],
)
def test_an_audience_that_cannot_be_made_says_why_at_its_field_and_keeps_what_was_typed(
    console: Console, fields: dict[str, str], words: str
) -> None:
    page = console.post("/audiences", fields)
    assert page.status == 422
    assert words in page.errors
    assert f'value="{fields["name"]}"' in page.text
    assert console.get("/audiences/kept").status == 404


def test_a_new_audience_does_not_replace_one_of_the_same_name(console: Console, console_api: Api, name: str) -> None:
    make_rule(console, name, {"platform": ["web"]})
    again = console.post("/audiences", {"name": name, "kind": "rule", "rule": '{"platform": ["shopify"]}'})
    assert again.status == 409
    assert f"There is an audience {name} already." in again.errors
    assert console_api.get(f"/v1/audiences/{name}").body["rule"] == {"platform": ["web"]}


def test_a_rule_is_edited_and_a_wrong_one_is_shown_with_its_place_and_not_saved(
    console: Console, console_api: Api, name: str
) -> None:
    make_rule(console, name, {"platform": ["web"]})
    wrong = console.post(f"/audiences/{name}/rule", {"rule": '{"platform": {"$what": 1}}'})
    assert wrong.status == 422
    assert "At /platform/$what: " in wrong.errors
    assert "$what" in wrong.text
    assert console_api.get(f"/v1/audiences/{name}").body["rule"] == {"platform": ["web"]}
    saved = console.follow(console.post(f"/audiences/{name}/rule", {"rule": '{"platform": ["shopify"]}'}))
    assert "The new rule holds for events from now on." in saved.words
    assert console_api.get(f"/v1/audiences/{name}").body["rule"] == {"platform": ["shopify"]}


def test_a_rule_that_nobody_can_meet_is_saved_and_its_page_says_so(console: Console, name: str) -> None:
    make_rule(console, name, {"event_name": {"$in": ["a"], "$nin": ["a"]}})
    said = "The rule never matches: event_name would have to be one of 'a' and none of 'a'."
    assert said in console.get(f"/audiences/{name}").words
    console.post(f"/audiences/{name}/rule", {"rule": json.dumps({"event_name": "a"})})
    assert "never matches" not in console.get(f"/audiences/{name}").words


def test_a_rule_from_before_somebody_elses_save_undoes_nothing_and_keeps_what_was_typed(
    console: Console, console_api: Api, name: str
) -> None:
    make_rule(console, name, {"platform": ["web"]})
    seen = console.get(f"/audiences/{name}").hidden("seen")
    assert console.post(f"/audiences/{name}/rule", {"rule": '{"platform": ["shopify"]}'} | seen).status == 303
    page = console.post(f"/audiences/{name}/rule", {"rule": '{"platform": ["ios"]}'} | seen)
    assert page.status == 409
    assert "Somebody else saved the rule meanwhile" in page.words
    assert "ios" in page.text
    assert page.hidden("seen") == seen
    assert console_api.get(f"/v1/audiences/{name}").body["rule"] == {"platform": ["shopify"]}


def test_members_are_added_by_id_or_address_and_removed(console: Console, console_api: Api, vip: str) -> None:
    first = console.post(f"/audiences/{vip}/members", {"by": "external_id", "member": "email:u/1"})
    assert "email:u/1 is on the list now." in console.follow(first).words
    again = console.post(f"/audiences/{vip}/members", {"by": "external_id", "member": "email:u/1"})
    assert "email:u/1 was on the list already." in console.follow(again).words
    page = console.follow(console.post(f"/audiences/{vip}/members", {"by": "email", "member": "Lee@Example.com"}))
    assert "A list of 2 members" in page.words
    assert re.search(r"The e-mail address with the SHA-256 [0-9a-f]{8}… is on the list now\.", page.words)
    assert 'data-confirm="Take email:u/1 off ' in page.text
    assert "email:u/1" in page.words
    assert "lee@example.com" not in page.text.lower(), "only the hash of an address is kept"
    after = console.follow(console.post(f"/audiences/{vip}/members/remove", {"key": "id:email:u/1"}))
    assert "A list of 1 member," in after.words
    assert "email:u/1 is no longer on the list." in after.words
    assert console_api.get(f"/v1/audiences/{vip}").body["members"] == 1


@pytest.mark.parametrize("by,member", [("email", "nobody"), ("external_id", ""), ("external_id", "x" * 400)])
def test_a_member_that_is_none_is_told_at_the_field(console: Console, vip: str, by: str, member: str) -> None:
    page = console.post(f"/audiences/{vip}/members", {"by": by, "member": member})
    assert page.status == 422
    assert page.errors
    assert member or page.errors == "Say who is to be on the list."
    assert f'value="{member}"' in page.text


def test_a_long_list_goes_on_from_page_to_page(console: Console, vip: str) -> None:
    ids = [f"u_{number:03}" for number in range(70)]
    console.post(f"/audiences/{vip}/members/csv", {"csv": "\n".join(["external_id", *ids])})
    page = console.get(f"/audiences/{vip}")
    assert "u_049" in page.words
    assert "u_050" not in page.words
    second = console.get(f"/audiences/{vip}", after="id:u_049")
    assert f'href="/audiences/{vip}?after=id%3Au_049" rel="next"' in page.text
    assert "u_050" in second.words
    assert "20 shown First" in second.words
    gone = console.post(f"/audiences/{vip}/members/remove", {"key": "id:u_060"} | second.hidden("after"))
    assert "19 shown First" in console.follow(gone).words
    assert console.get(f"/audiences/{vip}", after="nonsense").status == 404


def test_a_file_and_a_paste_put_members_on_the_list(console: Console, console_api: Api, vip: str) -> None:
    page = console.follow(upload(console, vip, b"external_id;name\nu_1;Kim\nu_2;Ana\n"))
    assert "Members in the file: 2. New on the list: 2." in page.words
    page = console.follow(console.post(f"/audiences/{vip}/members/csv", {"csv": "external_id\nu_2\nu_3"}))
    assert "Members in the file: 2. New on the list: 1." in page.words
    assert listed(console_api, vip) == ["u_1", "u_2", "u_3"]


def test_a_file_with_wrong_lines_names_each_and_adds_nobody_until_they_may_be_passed_over(
    console: Console, console_api: Api, vip: str
) -> None:
    lines = "external_id,email\nu_1,\n,nobody\n"
    page = console.post(f"/audiences/{vip}/members/csv", {"csv": lines})
    assert page.status == 422
    assert "1 line is wrong Nobody was added. Line 3: email is 'nobody': expected an e-mail address" in page.words
    assert "u_1,\n,nobody" in page.text
    assert listed(console_api, vip) == []
    page = console.follow(console.post(f"/audiences/{vip}/members/csv", {"csv": lines, "skip": "yes"}))
    assert "New on the list: 1. Wrong lines that were passed over: 1." in page.words
    assert listed(console_api, vip) == ["u_1"]


@pytest.mark.parametrize(
    "content,words",
    [
        (b"name\nKim\n", "names no column that is known"),
        (b"external_id\n\xff\n", "The file is not UTF-8 (byte 13)"),
        (b"", "Choose a file, or paste its lines."),
    ],
)
def test_a_file_that_is_no_list_of_members_says_why(console: Console, vip: str, content: bytes, words: str) -> None:
    page = upload(console, vip, content)
    assert page.status == 422
    assert words in page.errors


def test_a_rule_has_no_members_to_change(console: Console, name: str) -> None:
    make_rule(console, name, {"platform": ["web"]})
    assert "Add many" not in console.get(f"/audiences/{name}").words
    assert console.post(f"/audiences/{name}/members", {"by": "external_id", "member": "u_1"}).status == 409


def test_a_user_is_in_or_out_of_a_list_and_the_page_says_why(console: Console, vip: str) -> None:
    console.post(f"/audiences/{vip}/members", {"by": "external_id", "member": "u_1"})
    inside = console.post(f"/audiences/{vip}/test", {"external_id": "u_1"})
    assert f"In {vip} The list names this user: external_id 'u_1'" in inside.words
    outside = console.post(f"/audiences/{vip}/test", {"external_id": "u_2", "email": "kim@example.com"})
    assert f"Not in {vip} The list does not name external_id 'u_2' nor " in outside.words
    assert 'value="u_2"' in outside.text


def test_a_test_of_nobody_asks_for_somebody(console: Console, vip: str) -> None:
    page = console.post(f"/audiences/{vip}/test", {})
    assert page.status == 422
    assert "Name a user, or pick an event." in page.errors
    wrong = console.post(f"/audiences/{vip}/test", {"email": "nomail"})
    assert (wrong.status, wrong.errors) == (422, "Email is 'nomail': expected an e-mail address.")
    assert "There is no event 'gone'." in console.post(f"/audiences/{vip}/test", {"event": "gone"}).errors


def test_a_recent_event_is_tried_as_if_it_came_in_now(console: Console, console_api: Api, name: str) -> None:
    make_rule(console, name, {"properties.value": {"$gte": 100}})
    event_id = f"event_of_{name}"
    sent = {"event_id": event_id, "event_name": "purchase", "properties": {"value": 150}}
    assert console_api.post("/v1/events", sent).status in (200, 202)
    tried = console.post(f"/audiences/{name}/test", {"event": event_id})
    assert f"In {name}" in tried.words
    assert "properties.value is 150" in tried.words
    console.post(f"/audiences/{name}/rule", {"rule": '{"properties.value": {"$gte": 200}}'})
    again = console.post(f"/audiences/{name}/test", {"event": event_id})
    assert f"Not in {name}" in again.words, "that it was in the audience when it came in says nothing of now"


def test_before_it_is_deleted_the_page_names_the_destinations_whose_filters_ask_for_it(
    console: Console, console_api: Api, vip: str
) -> None:
    assert "Filters ask for it" not in console.get(f"/audiences/{vip}").words
    filters = {
        "plain": {"segment": ["x", vip]},
        "deep": {"$or": [{"segment": {"$nin": [vip]}}]},
        "other": {"platform": vip},
    }
    for name, each in filters.items():
        draft = {"name": f"{name} {vip}", "transport": {"url": "https://example.com"}, "filter": each}
        assert console_api.post("/v1/destinations", draft).status == 201
    assert f"Filters ask for it: deep {vip}, plain {vip}." in console.get(f"/audiences/{vip}").words


def test_an_audience_is_deleted_once_its_name_is_typed(console: Console, vip: str) -> None:
    refused = console.post(f"/audiences/{vip}/delete", {"name": "other"})
    assert refused.status == 422
    assert f"Type {vip} to delete it." in refused.errors
    assert console.post(f"/audiences/{vip}/delete", {"name": vip}).location == "/audiences"
    assert console.get(f"/audiences/{vip}").status == 404
