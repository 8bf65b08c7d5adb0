"""`/deliveries`: the log with its filters, and the story of one delivery with its ways on."""

from __future__ import annotations

import re
import shlex
import socket
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from markupsafe import escape

from tests.console.client import Page
from tests.console.hostile import IMAGE, MARKUP, SCRIPT, let_through
from tests.console.place import Place
from tests.harness import ReceiverThread, wait_until
from tests.web.expect import ok
from tracklayer.demo.answers import Answer, Hang

LIST = "/deliveries"
TOKEN = "s3cret-token-for-9f1c"


def shown(page: Page) -> list[str]:
    """The ids of the deliveries that a list shows, in its order."""
    assert page.status == 200, page.words
    return re.findall(r'data-delivery="(dlv_\w+)"', page.text)


def story(place: Place, delivery_id: str) -> Page:
    page = place.console.get(f"{LIST}/{delivery_id}")
    assert page.status == 200, page.words
    return page


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def dead(place: Place) -> dict[str, Any]:
    """A dead letter: the receiver does not accept the token."""
    ok(place.api.put("/v1/secrets/delivery_page_token", {"value": TOKEN}))
    place.receiver.script(place.path, Answer(401, (("X-Trace", "t-81"),), b'{"error":"invalid_token"}'))
    headers = {"Authorization": "Bearer {{secrets.delivery_page_token}}"}
    place.create(transport={"headers": headers}, template='{"order": "{{properties.order_id}}"}')
    return place.kill(properties={"order_id": "A1"})


def test_the_list_shows_the_newest_first_with_what_became_of_it(place: Place) -> None:
    made = place.create()
    ids = [place.settled(place.send(), "delivered")["id"] for _ in range(3)]
    page = place.console.get(LIST, destination_id=made["id"])
    assert shown(page) == ids[::-1]
    assert f'href="{LIST}/{ids[0]}" data-drawer' in page.text
    assert f'data-live="/deliveries/stream?destination_id={made["id"]}"' in page.text
    for words in (place.name, "delivered", "200"):
        assert words in page.words


def test_every_filter_narrows_the_list(place: Place, dead: dict[str, Any]) -> None:
    place.receiver.script(place.path, Answer(200))
    test = ok(place.api.post(f"/v1/destinations/{dead['destination_id']}/test", {"event": place.event()}))[
        "delivery_id"
    ]
    delivered = place.settled(place.send(), "delivered")
    destination = {"destination_id": dead["destination_id"]}
    both = [delivered["id"], test, dead["id"]]
    expected: list[tuple[dict[str, str], list[str]]] = [
        ({}, both),
        ({"event_id": dead["event_id"]}, [dead["id"]]),
        ({"event_name": place.name}, both),
        ({"event_name": "another"}, []),
        ({"state": "dead"}, [dead["id"]]),
        ({"state": "delivered"}, [delivered["id"], test]),
        ({"state": "retrying"}, []),
        ({"state": "pending"}, []),
        ({"code": "401"}, [dead["id"]]),
        ({"cause": "401"}, [dead["id"]]),
        ({"cause": "dns"}, []),
        ({"test": "no"}, [delivered["id"], dead["id"]]),
        ({"test": "yes"}, [test]),
        ({"window": "1h"}, both),
        ({"until": "2026-01-01T00:00:00Z"}, []),
        ({"until": "2026-01-01T00:00:00Z", "window": "24h"}, both),
        ({"since": "2001-01-01T00:00:00Z"}, both),
    ]
    for fields, ids in expected:
        assert shown(place.console.get(LIST, **destination, **fields)) == ids, fields


def test_what_waits_for_its_next_attempt_is_retrying_and_says_when_it_is_due(place: Place) -> None:
    place.receiver.script(place.path, Answer(503))
    made = place.create(retry={"attempts": 2, "backoff": "1h"})
    event_id = place.send()
    delivery = wait_until(
        lambda: place.delivery(event_id)["attempt_count"] and place.delivery(event_id), what="an attempt"
    )
    for state, expected in {"retrying": [delivery["id"]], "pending": [delivery["id"]], "untried": []}.items():
        assert shown(place.console.get(LIST, destination_id=made["id"], state=state)) == expected
    page = story(place, delivery["id"])
    assert "503 from" in page.words
    assert "attempt 2 comes by itself" in page.words
    assert "503 is retried by default" in page.words
    assert f'datetime="{delivery["due_at"]}"' in page.text
    assert f"/settings/destinations/{made['id']}/edit?event={quote(event_id, safe='')}" in page.text
    assert "/replay" not in page.text


def test_pages_follow_each_other_without_a_gap(place: Place) -> None:
    made = place.create()
    ok(
        place.api.post("/v1/events/batch", {"events": [place.event(event_id=f"{place.name}-{n}") for n in range(53)]}),
        202,
    )
    wait_until(lambda: len(place.requests) >= 53, what="53 requests")
    first = place.console.get(LIST, destination_id=made["id"])
    older = re.search(r'href="(/deliveries\?[^"]*before=[^"]*)" rel="next"', first.text)
    assert older
    second = place.console.get(older[1].replace("&amp;", "&"))
    ids = shown(first) + shown(second)
    assert len(shown(first)) == 50
    assert len(ids) == len(set(ids)) == 53
    assert ids == sorted(ids, reverse=True)
    assert 'rel="next"' not in second.text
    assert "data-live-count" not in second.text  # what is new does not come into an older page


def test_a_filter_that_cannot_be_is_refused_at_its_field_and_kept(place: Place) -> None:
    page = place.console.get(LIST, code="abc", event_name=place.name)
    assert page.status == 422
    assert re.search(r'id="filter-code"[^>]*value="abc"[^>]*aria-invalid="true"', page.text)
    assert "three digits" in page.words
    assert "data-live=" not in page.text
    for fields in ({"state": "lost"}, {"window": "9d"}, {"since": "yesterday"}, {"cause": "<b>"}):
        assert place.console.get(LIST, **fields).status == 422, fields
    assert place.console.get(LIST, before="dlv_../..").status == 404


def test_htmx_is_told_an_address_without_empty_fields(place: Place) -> None:
    page = place.console.fragment(LIST, event_id="", state="dead", code="", window="")
    assert page.headers["hx-push-url"] == "/deliveries?state=dead"
    assert place.console.fragment(LIST, state="dead").headers["hx-push-url"] is None


def test_a_row_comes_anew_as_it_is_now(place: Place, dead: dict[str, Any]) -> None:
    row = place.console.fragment(f"{LIST}/{dead['id']}/row")
    assert row.text.lstrip().startswith("<tr")
    assert shown(row) == [dead["id"]]
    assert "dead letter" in row.words
    assert f"changed-{dead['id']} from:body" in row.text


def test_the_drawer_and_the_page_tell_the_same_story(place: Place, dead: dict[str, Any]) -> None:
    page, beside = story(place, dead["id"]), place.console.drawer(f"{LIST}/{dead['id']}")
    assert "<html" in page.text
    assert "<html" not in beside.text
    for words in (
        f"401 from {place.receiver.url.removeprefix('http://')}",
        "The receiver does not accept the credentials. 401 is not retried by default.",
        "Change the secret",
        "Replay as sent",
        "Attempt 1",
        dead["id"],
        dead["event_id"],
        '{"order": "A1"}',
        "Authorization: Bearer ••••9f1c",
        "x-trace : t-81",
        '{"error":"invalid_token"}',
        "name lookup",
        "reading",
    ):
        assert words in page.words.replace("Authorization :", "Authorization:"), words
        assert words in beside.words.replace("Authorization :", "Authorization:"), words
    assert TOKEN not in page.text + beside.text
    assert f"/settings/secrets?return=%2Fdeliveries%2F{dead['id']}" in page.text
    assert f'href="/events/{dead["event_id"]}#fate"' in page.text
    assert f"/settings/destinations/{dead['destination_id']}/versions/1" in page.text


def test_the_curl_line_sends_the_same_bytes(place: Place, dead: dict[str, Any]) -> None:
    code = re.search(rf'<pre id="curl-{dead["id"]}"[^>]*>(.*?)</pre>', story(place, dead["id"]).text, re.DOTALL)
    assert code
    words = shlex.split(code[1].replace("&#39;", "'").replace("&#34;", '"').replace("&amp;", "&"), comments=True)
    assert words[0] == "curl"
    assert place.hook in words
    assert words[words.index("--data-binary") + 1] == '{"order": "A1"}'


def test_json_can_be_read_indented_beside_the_bytes(place: Place, dead: dict[str, Any]) -> None:
    page = story(place, dead["id"])
    assert "{&#34;order&#34;: &#34;A1&#34;}</pre>" in page.text
    assert "{\n  &#34;order&#34;: &#34;A1&#34;\n}</pre>" in page.text


def test_without_an_answer_the_story_says_why_and_offers_the_transport(place: Place) -> None:
    url = f"http://127.0.0.1:{closed_port()}/hook"
    place.create(transport={"url": url}, retry={"attempts": 0})
    delivery = place.kill()
    page = story(place, delivery["id"])
    assert "connection" in page.words
    assert "No connection could be made." in page.words
    assert "There was none." in page.words
    assert "until it failed" in page.words
    assert f"/settings/destinations/{delivery['destination_id']}/edit?event={delivery['event_id']}" in page.text
    assert "#transport" in page.text


def test_what_could_not_be_rendered_has_no_request_and_no_line_of_time(place: Place) -> None:
    place.create(template='{"reason": "{{properties.reason}}"}', on_missing="fail")
    delivery = place.settled(place.send(), "dead")
    page = place.console.get(f"{LIST}/{delivery['id']}")
    assert "No request could be made." in page.words
    assert page.words.count("properties.reason is missing in this event") == 2, (
        "in the headline once, in the attempt once"
    )
    assert re.search(r"Tried .{1,40}, with version 1", page.words)
    assert "Sent" not in page.words
    assert "on a line of time" not in page.text


def test_a_delivered_request_is_rendered_again_on_demand_and_marked_as_such(place: Place) -> None:
    made = place.create(template='{"order": "{{properties.order_id}}"}')
    event_id = place.send(properties={"order_id": "A7"})
    delivery = place.settled(event_id, "delivered")
    place.api.patch(f"/v1/destinations/{made['id']}", {"template": '{"changed": true}'})
    page = story(place, delivery["id"])
    assert "200" in page.words
    assert "are not kept" in page.words
    assert "A7" not in page.words
    assert "version 1 of now 2" in page.words
    part = place.console.fragment(f"{LIST}/{delivery['id']}/request", version=1)
    assert '{"order": "A7"}' in part.words
    assert "Rendered just now with version 1" in part.words
    assert "<html" not in part.text
    assert "<html" in place.console.get(f"{LIST}/{delivery['id']}/request", version=1).text
    gone = place.console.fragment(f"{LIST}/{delivery['id']}/request", version=9)
    assert "cannot be rendered again" in gone.words


def test_a_retried_delivery_shows_every_attempt_and_when_it_was_made(place: Place) -> None:
    place.receiver.script(place.path, Answer(503, body=b"busy"), Answer(200, body=b"fine"))
    place.create(retry={"attempts": 1, "backoff": "100ms", "jitter": 0})
    delivery = place.settled(place.send(), "delivered")
    page = story(place, delivery["id"])
    assert "2 attempts" in page.words
    assert page.words.index("Attempt 2") < page.words.index("Attempt 1")
    assert "after attempt 1" in page.words
    assert "503 is retried by default" in page.words
    assert "busy" in page.words
    assert "fine" in page.words
    assert page.text.count('<g class="timeline-') == 3
    assert "Attempt 2 arrived" in page.words


def test_what_a_rule_stops_names_the_rule_and_where_it_stands(place: Place) -> None:
    made = place.create(consent={"requires": ["ad_storage"]})
    delivery = place.settled(place.send(), "suppressed")
    page = story(place, delivery["id"])
    assert "ad_storage is unknown" in page.words
    assert "Nothing was sent." in page.words
    assert f"/settings/destinations/{made['id']}/edit?event=" in page.text
    ok(place.api.post(f"/v1/destinations/{made['id']}/suppressions", {"filter": {}, "reason": "on holiday"}), 201)
    kept = place.settled(place.send(consent={"ad_storage": "granted"}), "suppressed")
    page = story(place, kept["id"])
    assert "on holiday" in page.words
    assert f'href="/settings/destinations/{made["id"]}/suppressions"' in page.text


def test_what_waits_for_a_paused_destination_says_so(place: Place) -> None:
    made = place.create(status="paused")
    event_id = place.send()
    page = story(place, place.delivery(event_id)["id"])
    assert f"{place.name} is paused" in page.words
    assert "nothing is lost" in page.words
    assert f'href="/settings/destinations/{made["id"]}"' in page.text


def test_a_row_that_waits_for_a_paused_destination_says_so_where_others_say_when_they_are_due(place: Place) -> None:
    place.create(status="paused")
    delivery_id = place.delivery(place.send())["id"]
    (row,) = re.findall(rf'<tr[^>]*data-delivery="{delivery_id}".*?</tr>', place.console.get(LIST).text, re.DOTALL)
    (due,) = re.findall(r'data-label="Next due">(.*?)</td>', row)
    assert due == "paused"


def test_a_replay_sends_again_under_the_same_id(place: Place, dead: dict[str, Any]) -> None:
    place.receiver.script(place.path, Answer(200))
    place.api.patch(
        f"/v1/destinations/{dead['destination_id']}", {"template": '{"order_number": "{{properties.order_id}}"}'}
    )
    answer = place.console.post(f"{LIST}/{dead['id']}/replay", {"mode": "rerender"}, htmx=True)
    assert answer.status == 200
    assert "Replayed, rendered anew." in answer.words
    assert 'id="delivery"' in answer.text
    assert answer.headers["hx-trigger"] == f"changed-{dead['id']}, dead-letters-changed"
    assert re.search(r'hx-swap-oob="outerHTML:.rail-count" aria-label="\d+ dead letter', answer.text)
    assert place.settled(dead["event_id"], "delivered")["id"] == dead["id"]
    assert place.requests[-1].body == b'{"order_number": "A1"}'
    again = place.console.post(f"{LIST}/{dead['id']}/replay", {"mode": "rerender"}, htmx=True)
    assert again.status == 409
    assert "not dead" in again.words


def test_a_replay_as_sent_sends_the_same_bytes_and_a_form_leads_back(place: Place, dead: dict[str, Any]) -> None:
    place.receiver.script(place.path, Answer(200))
    place.api.patch(f"/v1/destinations/{dead['destination_id']}", {"template": "{}"})
    answer = place.console.post(f"{LIST}/{dead['id']}/replay", {"mode": "as_sent"})
    assert (answer.status, answer.location) == (303, f"{LIST}/{dead['id']}")
    place.settled(dead["event_id"], "delivered")
    assert place.requests[-1].body == b'{"order": "A1"}'


def test_a_replay_from_the_list_answers_the_row(place: Place, dead: dict[str, Any]) -> None:
    answer = place.console.post(f"{LIST}/{dead['id']}/replay", {"mode": "rerender", "place": "row"}, htmx=True)
    assert answer.text.lstrip().startswith("<tr")
    assert "Replayed" in answer.words
    assert answer.headers["hx-trigger"] == "dead-letters-changed"
    assert 'hx-swap-oob="outerHTML:.rail-count"' in answer.text


def test_what_is_on_its_way_is_followed_until_it_is_settled(place: Place, dead: dict[str, Any]) -> None:
    path = f"{LIST}/{dead['id']}"
    for page in (story(place, dead["id"]), place.console.get("/dead-letters", event_name=place.name)):
        assert "every 2s" not in page.text
    with ReceiverThread() as silent:
        silent.script(place.path, Hang())
        place.api.patch(
            f"/v1/destinations/{dead['destination_id']}",
            {"transport": {"url": silent.url + place.path}, "retry": {"attempts": 0}},
        )
        row = place.console.post(f"{path}/replay", {"place": "row", "follow": "yes"}, htmx=True)
        silent.wait_for(place.path)
        for page, asked in ((row, f"{path}/row"), (story(place, dead["id"]), path)):
            (seen,) = re.findall(rf'hx-get="{asked}\?seen=(\S+)" hx-trigger="[^"]*every 2s"', page.text)
            followed = place.console.fragment(asked, seen=seen)
            if followed.status == 200:  # it was not on its way yet
                (seen,) = re.findall(rf'hx-get="{asked}\?seen=(\S+)"', followed.text)
                followed = place.console.fragment(asked, seen=seen)
            assert (followed.status, followed.text) == (204, "")
    place.settled(dead["event_id"], "dead")
    for asked in (path, f"{path}/row"):
        settled = place.console.fragment(asked, seen=seen)
        assert "dead letter" in settled.words
        assert "every 2s" not in settled.text


def test_a_discard_wants_a_reason_and_keeps_it(place: Place, dead: dict[str, Any]) -> None:
    refused = place.console.post(f"{LIST}/{dead['id']}/discard", {"reason": "  "}, htmx=True)
    assert refused.status == 422
    assert 'id="discard-reason-error"' in refused.text
    assert place.delivery(dead["event_id"])["state"] == "dead"
    answer = place.console.post(f"{LIST}/{dead['id']}/discard", {"reason": "a test order"}, htmx=True)
    assert answer.status == 200
    assert "a test order" in answer.words
    assert place.delivery(dead["event_id"])["state"] == "discarded"
    trail = ok(place.api.get("/v1/audit", limit=5))["data"]
    assert any(entry["target"] == dead["id"] and "ana@example.com" in str(entry) for entry in trail)


def test_a_form_without_its_token_changes_nothing(place: Place, dead: dict[str, Any]) -> None:
    for path in ("replay", "discard"):
        answer = place.console.post(f"{LIST}/{dead['id']}/{path}", {"reason": "x"}, token="forged")
        assert answer.status == 403
    assert place.delivery(dead["event_id"])["state"] == "dead"


def test_a_test_is_no_dead_letter_and_cannot_be_replayed(place: Place) -> None:
    place.receiver.script(place.path, Answer(500))
    made = place.create()
    tested = ok(place.api.post(f"/v1/destinations/{made['id']}/test", {"event": place.event()}))
    page = story(place, tested["delivery_id"])
    assert "sent once, never retried" in page.words
    assert "/replay" not in page.text


def test_a_delivery_of_a_deleted_destination_can_be_looked_at(place: Place) -> None:
    made = place.create()
    delivery = place.settled(place.send(), "delivered")
    place.api.delete(f"/v1/destinations/{made['id']}?deliveries=discard")
    page = story(place, delivery["id"])
    assert "deleted" in page.words
    assert "cannot be rendered again" in place.console.fragment(f"{LIST}/{delivery['id']}/request", version=1).words
    assert "deleted" in place.console.get(LIST, destination_id=made["id"]).words


def test_what_is_not_there_is_not_found(place: Place) -> None:
    for path in ("dlv_nothing", "dlv_nothing/row", "dlv_nothing/request?version=1"):
        assert place.console.get(f"{LIST}/{path}").status == 404, path
    assert place.console.post(f"{LIST}/dlv_nothing/replay").status == 404


def test_an_empty_list_leads_on(place: Place) -> None:
    page = place.console.get(LIST, event_id="no-such-event")
    assert "No delivery is like this" in page.words
    assert 'href="/events?q=no-such-event"' in page.text


def test_nothing_that_senders_or_receivers_write_becomes_markup(place: Place) -> None:
    headers = (("X-Echo", IMAGE), ("Content-Type", "text/html"))
    place.receiver.script(place.path, Answer(400, headers, f"{SCRIPT}{IMAGE}{MARKUP}".encode()))
    place.create(name=f"{place.name} {IMAGE}", template=None)
    hostile_id = f"{place.name}/{SCRIPT}{IMAGE}"
    place.send(event_id=hostile_id, user_id=MARKUP, properties={SCRIPT: IMAGE, "x": MARKUP})
    (delivery,) = wait_until(
        lambda: ok(place.api.get("/v1/deliveries", event_id=hostile_id, state="dead"))["data"], what="a dead letter"
    )
    path = f"{LIST}/{delivery['id']}"
    pages = [
        place.console.get(LIST, event_id=hostile_id),
        place.console.get(f"{LIST}?{urlencode({'state': IMAGE, 'event_name': SCRIPT})}"),
        story(place, delivery["id"]),
        place.console.drawer(path),
        place.console.fragment(f"{path}/request", version=1),
        place.console.post(f"{path}/discard", {"reason": f"{IMAGE}{SCRIPT}"}, htmx=True),
    ]
    for page in pages:
        assert let_through(page.text) == []
    for hostile in (SCRIPT, IMAGE, MARKUP):
        assert str(escape(hostile)) in pages[2].text  # and yet it is shown, as it came
