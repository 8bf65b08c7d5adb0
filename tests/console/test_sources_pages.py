"""`/settings/sources` over plain HTTP; what the card of the native API says is in test_settings.py."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

import pytest

from tests.console.client import Console, Page
from tests.harness import Answer, Api
from tests.web.expect import ok

SOURCES = "/settings/sources"
TAGS = '<script>alert("x")</script>'

_numbers = count(1)


@pytest.fixture
def name() -> str:
    """A name that no other test has."""
    return f"source_{next(_numbers)}"


def create(console: Console, name: str, kind: str = "segment", **more: str) -> Page:
    page = console.post(SOURCES, {"name": name, "type": kind, **more})
    assert page.status == 200, page.words
    return page


def id_of(api: Api, name: str) -> str:
    return str(source(api, name)["id"])


def source(api: Api, name: str) -> dict[str, Any]:
    """What the API says of the source of that name."""
    return next(each for each in ok(api.get("/v1/sources"))["data"] if each["name"] == name)


def track(api: Api, key: str, **call: Any) -> Answer:
    return Api(api.url, None).call("POST", "/v1/track", {"writeKey": key, **call})


def row_of(console: Console, name: str) -> str:
    rows = console.get(SOURCES).text.split("<tr ")
    return next(row for row in rows if f">{name}</a>" in row)


def numbers_of(row: str) -> list[str]:
    """Today, 7 days, duplicates, rejected."""
    return re.findall(r'class="number">(?:<a [^>]*>)?([^<]+)<', row)


def test_a_source_is_for_who_is_signed_in(console_url: str) -> None:
    stranger = Console(console_url)
    assert stranger.get(f"{SOURCES}/src_1").status == 303


def test_a_write_key_is_shown_once_with_lines_for_sdks(
    console: Console, console_api: Api, console_url: str, name: str
) -> None:
    page = create(console, name)
    key = page.code("new-key")
    assert "Copy it now, it is not shown again." in page.words
    assert page.headers["cache-control"] == "no-store"
    assert page.code("address") == console_url
    for lines in ("setup-python", "setup-node"):
        assert key in page.code(lines)
        assert console_url in page.code(lines)
    assert track(console_api, key, event=name, userId="u_1").status == 200
    later = console.get(f"{SOURCES}/{id_of(console_api, name)}")
    assert key not in later.text + console.get(SOURCES).text
    assert f"••••{key[-4:]}" in later.words
    assert "WRITE_KEY" in later.code("setup-node")


def test_the_list_counts_what_came_and_leads_to_what_was_rejected(
    console: Console, console_api: Api, console_url: str, name: str
) -> None:
    key = create(console, name).code("new-key")
    for call in ({"event": name, "messageId": name}, {"event": name, "messageId": name}, {"event": f"{name} 2"}, {}):
        ok(track(console_api, key, **call))
    row = row_of(console, name)
    assert numbers_of(row) == ["2", "2", "1 of 1", "1 of 1"]
    source_id = id_of(console_api, name)
    assert f'href="/rejected?source_id={source_id}"' in row
    assert f'id="address-{source_id}">{console_url}<' in row
    assert f'data-copy="#address-{source_id}"' in row
    assert "Segment SDK" in row
    assert ">on<" in row


@pytest.mark.parametrize(
    "kind,says", [("shopify", "orders/create"), ("segment_webhook", "Webhooks (Actions)"), ("segment", "host")]
)
def test_every_type_says_how_its_sender_is_set_up(
    console: Console, console_api: Api, console_url: str, name: str, kind: str, says: str
) -> None:
    page = create(console, name, kind)
    assert says in page.words
    assert page.code("new-key")
    if kind != "segment":
        assert page.code("address") == f"{console_url}/v1/sources/{id_of(console_api, name)}/ingest"
        assert page.code("address") == source(console_api, name)["url"]


def test_a_secret_that_the_sender_has_made_is_not_shown(console: Console, console_api: Api, name: str) -> None:
    page = create(console, name, "shopify", secret="made-by-shopify")
    assert "made-by-shopify" not in page.text
    assert 'id="new-key"' not in page.text
    assert source(console_api, name)["key_hint"].endswith("pify")


@pytest.mark.parametrize(
    "form,words",
    [
        ({"name": "", "type": "shopify"}, "The name must have 1 to 200 printable characters."),
        ({"name": "kept <name>", "type": "carrier pigeon"}, "'carrier pigeon' is no type of source"),
        ({"name": "kept <name>", "type": "shopify", "secret": "short"}, "A secret has 8 to 500 printable characters."),
        ({"name": "kept <name>", "type": "segment", "secret": "long enough"}, "settings.secret is for signed webhooks"),
    ],
)
def test_what_cannot_be_made_says_why_at_its_field_and_keeps_what_was_typed(
    console: Console, form: dict[str, str], words: str
) -> None:
    page = console.post(SOURCES, form)
    assert page.status == 422
    assert words in page.errors
    assert f'value="{form["name"].replace("<", "&lt;").replace(">", "&gt;")}"' in page.text
    assert "long enough" not in page.text
    if form["type"] == "shopify":
        assert '<option value="shopify" selected>' in page.text


def test_settings_are_saved_and_what_is_wrong_stands_at_its_field(
    console: Console, console_api: Api, name: str
) -> None:
    create(console, name, "shopify")
    path = f"{SOURCES}/{id_of(console_api, name)}"
    saved = console.post(path, {"name": name, "topics": "orders/paid = purchase\n\n orders/cancelled=order_cancelled "})
    assert saved.location == f"{path}?saved=settings#settings"
    assert "The settings are saved." in console.follow(saved).words
    assert source(console_api, name)["settings"] == {
        "topics": {"orders/paid": "purchase", "orders/cancelled": "order_cancelled"}
    }
    assert "orders/paid = purchase\norders/cancelled = order_cancelled</textarea>" in console.follow(saved).text
    for typed, words in (("orders/paid", "names no event"), ("products/create = x", "is no topic that can be mapped")):
        wrong = console.post(path, {"name": name, "topics": typed})
        assert wrong.status == 422
        assert words in wrong.errors
        assert f"{typed}</textarea>" in wrong.text
    renamed = console.post(path, {"name": f"{name}_new", "topics": ""})
    assert renamed.status == 303
    assert source(console_api, f"{name}_new")["settings"] == {}


def test_a_platform_is_set_and_taken_back(console: Console, console_api: Api, name: str) -> None:
    create(console, name)
    path = f"{SOURCES}/{id_of(console_api, name)}"
    console.post(path, {"name": name, "platform": "ios"})
    assert source(console_api, name)["settings"] == {"platform": "ios"}
    assert 'value="ios"' in console.get(path).text
    console.post(path, {"name": name, "platform": ""})
    assert source(console_api, name)["settings"] == {}
    wrong = console.post(path, {"name": name, "platform": "x" * 5000})
    assert wrong.status == 422
    assert wrong.errors


def test_a_source_that_is_off_is_refused_until_it_is_on(console: Console, console_api: Api, name: str) -> None:
    key = create(console, name).code("new-key")
    path = f"{SOURCES}/{id_of(console_api, name)}"
    off = console.follow(console.post(f"{path}/disable"))
    assert "It is off: what it sends is refused" in off.words
    assert ">off<" in row_of(console, name)
    assert track(console_api, key, event=name).status == 403
    assert console.post(f"{path}/enable").location == path
    assert track(console_api, key, event=name).status == 200


def test_a_new_key_is_shown_once_and_the_old_one_is_refused(console: Console, console_api: Api, name: str) -> None:
    old = create(console, name).code("new-key")
    path = f"{SOURCES}/{id_of(console_api, name)}"
    new = console.post(f"{path}/rotate-key").code("new-key")
    assert track(console_api, old, event=name).status == 401
    assert track(console_api, new, event=name).status == 200
    assert new not in console.get(path).text


def test_a_form_that_is_sent_twice_makes_one_source_and_replaces_its_key_once(
    console: Console, console_api: Api, name: str
) -> None:
    form = {"name": name, "type": "segment", "new_id": console.get(SOURCES).value("new_id")}
    path = f"{SOURCES}/{form['new_id']}"
    seen = console.post(SOURCES, form).value("seen")
    again = console.post(SOURCES, form)
    assert again.status == 409
    assert "This form was sent already, and made its source: no other one was made." in again.words
    assert [each["name"] for each in ok(console_api.get("/v1/sources"))["data"]].count(name) == 1

    new = console.post(f"{path}/rotate-key", {"seen": seen}).code("new-key")
    again = console.post(f"{path}/rotate-key", {"seen": seen})
    assert again.status == 409
    assert "It was replaced meanwhile, and so was not replaced again." in again.words
    assert track(console_api, new, event=name).status == 200


def test_a_secret_is_replaced_by_the_senders(console: Console, console_api: Api, name: str) -> None:
    create(console, name, "shopify")
    path = f"{SOURCES}/{id_of(console_api, name)}"
    wrong = console.post(f"{path}/rotate-key", {"secret": "short"})
    assert wrong.status == 422
    assert "A secret has 8 to 500 printable characters." in wrong.errors
    replaced = console.post(f"{path}/rotate-key", {"secret": "signed-at-shopify"})
    assert "The new secret holds from now on." in console.follow(replaced).words
    assert source(console_api, name)["key_hint"].endswith("pify")


def test_a_source_is_deleted_by_typing_its_name(console: Console, console_api: Api, name: str) -> None:
    key = create(console, name).code("new-key")
    path = f"{SOURCES}/{id_of(console_api, name)}"
    wrong = console.post(f"{path}/delete", {"typed_name": "something else"})
    assert wrong.status == 422
    assert f"Type {name} to delete it." in wrong.errors
    assert console.post(f"{path}/delete", {"typed_name": name}).location == SOURCES
    assert console.get(path).status == 404
    assert track(console_api, key, event=name).status == 401


def test_a_name_is_text_wherever_it_shows(console: Console, console_api: Api) -> None:
    page = create(console, TAGS)
    source_id = id_of(console_api, TAGS)
    for each in (page, console.get(SOURCES), console.get(f"{SOURCES}/{source_id}"), console.get("/audit")):
        assert TAGS not in each.text
    assert TAGS in page.words
    console.post(f"{SOURCES}/{source_id}/delete", {"typed_name": TAGS})


@pytest.mark.parametrize("step", ["", "/enable", "/disable", "/rotate-key", "/delete"])
def test_what_is_not_there_is_said(console: Console, step: str) -> None:
    assert console.post(f"{SOURCES}/src_none{step}", {"name": "x"}).status == 404
