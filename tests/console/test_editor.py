"""The five-step editor over HTTP, as a browser without scripts uses it and as htmx does."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator

import pytest

from tests.console.client import Console, Page
from tests.console.page_form import fields_of
from tests.harness import Api, ReceiverThread, wait_until
from tracklayer.demo.answers import Answer

NEW = "/settings/destinations/new"


@pytest.fixture(scope="module")
def receiver() -> Iterator[ReceiverThread]:
    with ReceiverThread() as running:
        yield running


def form(page: Page) -> dict[str, str]:
    found = fields_of(page.text, "destination-editor")
    assert found, page.words
    return found


@pytest.fixture(autouse=True)
def nothing_stays(console_api: Api) -> Iterator[None]:
    """What a test has made goes with it: one that is live would get the events of every other test."""
    before = {each["id"] for each in console_api.get("/v1/destinations", limit=200).body["data"]}
    yield
    for each in console_api.get("/v1/destinations", limit=200).body["data"]:
        if each["id"] not in before:
            console_api.delete(f"/v1/destinations/{each['id']}?deliveries=discard")


def blank(console: Console, **changed: str) -> dict[str, str]:
    return form(console.get(NEW, preset="blank")) | changed


def problem(page: Page, field: str) -> str:
    """What stands at a field."""
    found = re.search(rf'data-problem="{field}"( hidden)?>.*?<span>(.*?)</span></p>', page.text, re.DOTALL)
    assert found, f"no place for a problem of {field}"
    return "" if found[1] else html.unescape(found[2])


def part(page: Page, id: str) -> str:
    """The text of an element, up to the next element with an id."""
    found = re.search(rf'id="{id}"[^>]*>(.*?)(?=<\w[^>]* id="|\Z)', page.text, re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", found[1])).split()) if found else ""


def created(console: Console, url: str, **changed: str) -> str:
    """The path of a saved draft's editor."""
    page = console.post(NEW, blank(console, name="made", url=url, action="save", **changed))
    assert page.status == 303, page.words
    return page.location.partition("?")[0]


def test_presets_and_the_blank_form_are_offered(console: Console) -> None:
    page = console.get(NEW)
    for word in ("Slack", "PagerDuty", "Custom REST endpoint", "Mixpanel", "Custom HTTP"):
        assert word in page.words


def test_a_preset_fills_the_form_and_names_the_secrets_to_set(console: Console) -> None:
    page = console.get(NEW, preset="slack")
    fields = form(page)
    assert fields["url"] == "https://hooks.slack.com/services/{{{secrets.slack_webhook_path}}}"
    assert json.loads(fields["filter"]) == {"event_name": ["purchase"]}
    assert fields["body_equals"] == "ok"
    assert fields["events_per_second"] == "1"
    assert fields["secret_name"] == "slack_webhook_path"
    assert "There is no secret slack_webhook_path yet" in page.words
    assert "/services/••••" in page.words  # the request is shown all the same


def test_a_draft_made_with_the_form_is_what_the_api_says(console: Console, console_api: Api) -> None:
    page = console.post(
        NEW,
        blank(
            console,
            name="by the form",
            url="https://receiver.test/in",
            method="PUT",
            headers='{"X-Environment": "production"}',
            filter='{"properties.value": {"$gte": 100.10}}',
            template='{\r\n  "id": "{{event_id}}"\r\n}',
            attempts="3",
            backoff="1s, 5s",
            jitter="25",
            retried="404, 409",
            dead="500",
            rate="internal",
            consent_requires="ad_storage, ad_user_data",
            scheme="tracklayer",
            signing_secret="a-secret-of-the-form",
            action="save",
        ),
    )
    assert page.status == 303, page.words
    made = console_api.get("/v1/destinations", name="by the form").body["data"][0]
    assert made["status"] == "draft"
    assert made["transport"]["method"] == "PUT"
    assert made["transport"]["headers"] == {"X-Environment": "production"}
    assert made["filter"] == {"properties.value": {"$gte": 100.10}}
    assert made["template"] == '{\n  "id": "{{event_id}}"\n}'
    assert made["retry"]["statuses"] == {"404": "retry", "409": "retry", "500": "dead"}
    assert made["retry"]["jitter"] == 0.25
    assert made["rate_limit"] == {"profile": "internal"}
    assert made["consent"] == {"requires": ["ad_storage", "ad_user_data"], "when_unknown": "deny"}
    assert made["signing"] == {"enabled": True, "hint": "…form"}
    edit = console.follow(page)
    assert "a-secret-of-the-form" not in edit.text
    assert "••••form is set" in html.unescape(edit.text)


def test_saving_what_did_not_change_makes_no_version(console: Console, console_api: Api) -> None:
    given = {
        "name": "as it was written",
        "transport": {"url": "https://receiver.test/in", "timeout": 3},
        "retry": {"backoff": ["2s", 10], "attempts": 2},
        "consent": {"requires": []},
        "status": "draft",
    }
    made = console_api.post("/v1/destinations", given).body
    path = f"/settings/destinations/{made['id']}/edit"
    console.post(path, form(console.get(path)) | {"action": "save"})
    assert console_api.get(f"/v1/destinations/{made['id']}").body == made


def test_headers_that_are_not_json_are_shown_at_their_place_and_nothing_is_lost(console: Console) -> None:
    sent = blank(
        console, name="kept", url="https://receiver.test/", headers='{\n  "A": 1,,\n}', template="{{", action="save"
    )
    page = console.post(NEW, sent)
    assert page.status == 422
    assert problem(page, "headers").startswith("Line 2, column 10: This is not JSON")
    assert problem(page, "template")
    kept = form(page)
    assert {name: kept[name] for name in ("name", "headers", "template")} == {
        "name": "kept",
        "headers": '{\n  "A": 1,,\n}',
        "template": "{{",
    }


@pytest.mark.parametrize(
    "field, value, said",
    [
        ("name", "", "1 to 200 printable characters"),
        ("name", "a\u202eb", "1 to 200 printable characters"),
        ("url", "", "Say where to send"),
        ("url", "ftp://receiver.test", "ftp"),
        ("headers", '{"Host": "x"}', "Host"),
        ("timeout", "soon", "soon"),
        ("signing_secret", "", "needs a secret"),
        ("filter", '{"properties.a": {"$near": 1}}', "$near"),
        ("template", '{"a": "{{#if x}}"}', "Line 1, column 8"),
        ("body_schema", '{"type": 5}', "not a JSON Schema"),
        ("attempts", "2.5", "whole number"),
        ("attempts", "many", "not a number"),
        ("backoff", "2s, later", "later"),
        ("jitter", "200", "jitter"),
        ("retried", "99", "99"),
        ("dead", "404", "one of the two"),
        ("success_json", "[", "not JSON"),
        ("events_per_second", "", "how many"),
        ("burst", "0", "burst"),
    ],
)
def test_a_problem_stands_at_its_field(console: Console, field: str, value: str, said: str) -> None:
    good = {"name": "n", "url": "https://receiver.test/", "scheme": "tracklayer", "signing_secret": "long-enough"}
    more = {"retried": "404"} if field == "dead" else {"rate": "number", "events_per_second": "1"}
    page = console.post(NEW, blank(console, **(good | more | {field: value, "action": "save"})))
    assert page.status == 422
    assert said in problem(page, field)
    assert form(page)[field] == value


def test_each_keystroke_shows_the_request_and_what_the_event_lacks(console: Console) -> None:
    template = '{"a": "{{event_name}}", "b": "{{properties.nope}}"}'
    sent = blank(console, url="https://receiver.test/in", template=template)
    page = console.post(f"{NEW}/look", sent, htmx=True)
    assert page.status == 200
    assert '{"a": "purchase", "b": ""}' in html.unescape(page.text)
    assert "POST https://receiver.test/in" in page.words
    assert "properties.nope template, 1:33" in page.words
    assert part(page, "summary-transport") == "POST receiver.\N{ZERO WIDTH SPACE}test · not signed"
    assert part(page, "summary-retry") == "5 retries in 12 m 42 s"


def test_a_keystroke_needs_the_token_of_the_page(console: Console) -> None:
    assert console.post(f"{NEW}/look", blank(console) | {"_csrf_token": "another"}, htmx=True).status == 403


def test_a_form_that_is_not_begun_is_not_blamed_for_it(console: Console) -> None:
    page = console.get(NEW, preset="blank")
    assert problem(page, "url") == ""
    assert problem(page, "name") == ""
    assert '"event_name":"purchase"' in html.unescape(page.text)


def test_while_a_field_is_wrong_the_last_request_stays_and_a_note_says_why(console: Console) -> None:
    page = console.post(f"{NEW}/look", blank(console, url="https://receiver.test/", template="{{#if x}}"), htmx=True)
    assert page.headers["hx-reswap"] == "none"
    assert "is not closed" in part(page, "becomes-note")
    marks = re.search(r'data-marks-for="f-template" data-problems="([^"]*)"', page.text)
    assert marks
    assert json.loads(html.unescape(marks[1]))[0]["line"] == 1


def test_the_filter_and_the_consent_give_their_reasons_and_the_request_is_shown_all_the_same(console: Console) -> None:
    sent = blank(console, url="https://receiver.test/", filter='{"platform": ["web"]}', template='{"x": 1}')
    page = console.post(f"{NEW}/look", sent, htmx=True)
    assert "The filter keeps it back" in page.words
    assert "The request, if it were sent" in page.words
    sent = blank(console, url="https://receiver.test/", consent_requires="telepathy", template='{"x": 1}')
    assert "Suppressed by consent" in console.post(f"{NEW}/look", sent, htmx=True).words


def test_an_event_of_ones_own_is_the_sample(console: Console) -> None:
    own = {"sample": "own", "sample_json": '{"event_name": "signup"}'}
    sent = blank(console, url="https://receiver.test/", template='{"n": "{{event_name}}"}') | own
    assert '{"n": "signup"}' in html.unescape(console.post(f"{NEW}/look", sent, htmx=True).text)
    broken = console.post(f"{NEW}/look", sent | {"sample_json": "{"}, htmx=True)
    assert "not JSON" in part(broken, "becomes-note")


def test_a_recent_event_is_offered_and_its_texts_stay_text(console: Console, console_api: Api) -> None:
    name = "<script>alert(1)</script>"
    event = {"event_id": "ev-xss", "event_name": name, "properties": {"x": "<img src=x>"}}
    assert console_api.post("/v1/events", event).status == 200
    path = created(console, "https://receiver.test/", template='{"x": {{json properties}}}')
    page = console.get(path, event="ev-xss")
    assert form(page)["sample"] == "event:ev-xss"
    assert "<script>alert" not in page.text
    assert "<img" not in page.text
    assert '{"x":"<img src=x>"}' in html.unescape(page.text)


def test_matches_counts_the_newest_events_and_links_to_them(console: Console, console_api: Api) -> None:
    event = {"event_id": "only-one", "event_name": "counted_by_the_editor"}
    assert console_api.post("/v1/events", event).status == 200

    def count(text: str) -> Page:
        return console.post(f"{NEW}/matches", {"filter": text}, htmx=True)

    wanted = '{"event_name": ["counted_by_the_editor"]}'
    # The newest events are read once in two seconds.
    wait_until(lambda: "matches 1 of the last" in count(wanted).words, what="the event to be among the newest")
    assert 'href="/events/only-one"' in count(wanted).text
    assert count("{").words == ""
    assert count('{"a": {"$near": 1}}').words == ""


def test_a_secret_made_in_place_never_comes_back(console: Console, console_api: Api) -> None:
    asked = {"action": "secret", "secret_name": "made_in_place", "secret_value": "hush-hush-7788"}
    page = console.post(NEW, blank(console, name="still here") | asked)
    assert page.status == 200
    assert "hush-hush" not in page.text
    assert "••••7788" in page.words
    assert form(page)["name"] == "still here"
    assert form(page)["secret_value"] == ""
    assert console_api.get("/v1/secrets/made_in_place").status == 200
    assert "secrets.made_in_place" in console.get(f"{NEW}/paths").text
    refused = console.post(NEW, blank(console) | asked | {"secret_name": "no good"})
    assert refused.status == 422
    assert "no good" in problem(refused, "secret_name")


def test_a_signing_secret_is_made_and_shown_once(console: Console) -> None:
    page = console.post(NEW, blank(console, name="n", url="https://receiver.test/", action="generate"), htmx=True)
    secret = form(page)["signing_secret"]
    assert secret.startswith("dest_live_")
    assert form(page)["scheme"] == "tracklayer"
    saved = console.post(NEW, form(page) | {"action": "save"})
    assert secret not in console.follow(saved).text


def test_the_test_saves_the_draft_and_shows_every_stage(console: Console, receiver: ReceiverThread) -> None:
    receiver.script("/passes", Answer(200, body=b"taken"))
    sent = blank(
        console, name="tested", url=f"{receiver.url}/passes", scheme="tracklayer", signing_secret="long-enough"
    )
    page = console.post(NEW, sent | {"action": "test"}, htmx=True)
    assert page.status == 200, page.words
    assert re.findall(r'class="stage stage-(\w+)" data-stage="(\w+)"', page.text) == [
        ("passed", name) for name in ("filter", "consent", "render", "sign", "send", "response")
    ]
    assert "The test arrived" in page.words
    assert "signed, and verified as a receiver would" in page.words
    assert "curl --globoff" in page.words
    assert "taken" in page.words
    assert len(receiver.on("/passes")) == 1
    assert page.headers["hx-replace-url"].endswith("/edit#test")
    assert form(page)["version"] == "1"


def test_a_failed_test_says_what_it_means_and_where_to_change_it(console: Console, receiver: ReceiverThread) -> None:
    receiver.script("/refuses", Answer(401, body=b"who are you?"))
    page = console.post(NEW, blank(console, name="refused", url=f"{receiver.url}/refuses", action="test"))
    assert 'stage-failed" data-stage="response"' in page.text
    assert "does not accept the credentials" in page.words
    assert 'href="#transport" data-focus="headers"' in page.text
    assert "who are you?" in page.words


def test_going_live_asks_for_a_passed_test_of_this_version(
    console: Console, console_api: Api, receiver: ReceiverThread
) -> None:
    path = created(console, f"{receiver.url}/live")
    refused = console.post(path, form(console.get(path)) | {"action": "live"})
    assert refused.status == 422
    assert "No test of this version has passed" in problem(refused, "skip")
    tested = console.post(path, form(refused) | {"action": "test"})
    assert "Version 1 has passed a test" in tested.words
    changed = console.post(path, form(tested) | {"template": '{"n": 1}', "action": "live"})
    assert changed.status == 422  # what would go live is not what was tested
    live = console.post(path, form(tested) | {"action": "live"})
    assert live.status == 303
    destination = console_api.get(path.replace("/settings", "/v1").removesuffix("/edit")).body
    assert (destination["status"], destination["version"]) == ("active", 1)


def test_going_live_without_a_test_is_a_choice(console: Console, console_api: Api) -> None:
    sent = blank(console, name="skipped", url="https://receiver.test/", action="live")
    assert console.post(NEW, sent).status == 422
    page = console.post(NEW, sent | {"skip": "yes"})
    assert page.status == 303
    assert console_api.get("/v1/destinations", name="skipped").body["data"][0]["status"] == "active"


def test_a_live_destination_is_compared_saved_with_a_note_and_tested_as_it_is(
    console: Console, console_api: Api, receiver: ReceiverThread
) -> None:
    assert console_api.post("/v1/events", {"event_name": "compared"}).status == 200
    sent = {"filter": '{"event_name": ["compared"]}', "template": '{"old": 1}'}
    page = console.post(NEW, blank(console, name="l", url=f"{receiver.url}/l", action="live", skip="yes") | sent)
    path = f"{page.location}/edit"
    changed = form(console.get(path)) | {"template": '{"new": 1}', "note": "the receiver moved on"}
    compared = console.post(path, changed | {"action": "compare"}, htmx=True)
    assert "Of 1 events that match, 1 would be sent differently" in compared.words
    assert '+ "new": 1' in compared.words
    console.post(path, changed | {"action": "test", "sample": "own", "sample_json": '{"event_name": "compared"}'})
    assert [each.body for each in receiver.on("/l")] == [b'{"old": 1}']  # unsaved changes do not reach the receiver
    assert console.post(path, changed | {"action": "save"}).status == 303
    versions = console_api.get(f"/v1/destinations/{path.split('/')[3]}/versions").body["data"]
    assert (versions[0]["version"], versions[0]["note"]) == (2, "the receiver moved on")


def test_a_save_over_somebody_elses_is_refused_says_whose_and_keeps_what_was_typed(
    console: Console, console_api: Api
) -> None:
    path = created(console, "https://receiver.test/")
    mine = form(console.get(path)) | {"template": '{"mine": 1}', "action": "save"}
    console_api.patch(path.replace("/settings", "/v1").removesuffix("/edit"), {"template": '{"theirs": 1}'})
    page = console.post(path, mine)
    assert page.status == 409
    assert "Version 2 was saved by" in page.words
    assert form(page)["template"] == '{"mine": 1}'
    assert "theirs" in console.get(path).text


def test_after_a_save_one_comes_back_to_where_one_was(console: Console) -> None:
    path = created(console, "https://receiver.test/")
    page = console.get(path, **{"return": "/dead-letters?cause=401"})
    assert console.post(path, form(page) | {"action": "save"}).location == "/dead-letters?cause=401"
    elsewhere = console.get(path, **{"return": "//evil.example/"})
    assert console.post(path, form(elsewhere) | {"action": "save"}).location.startswith(path)


def test_completion_and_chips_get_real_values(console: Console, console_api: Api) -> None:
    paths = {each["path"] for each in json.loads(console.get(f"{NEW}/paths").text)}
    assert {"event_name", "user_data.email_hash"} <= paths
    assert console.get(f"{NEW}/values?path=event_name").status == 200
    assert console.get(f"{NEW}/values?path=properties.secret").status == 422


def test_a_destination_or_a_preset_that_is_not_there_is_said_so(console: Console) -> None:
    assert console.get("/settings/destinations/dst_none/edit").status == 404
    assert console.get(NEW, preset="none").status == 404
