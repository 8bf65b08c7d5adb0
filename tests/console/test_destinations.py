"""`/settings/destinations`, and the overview of one."""

from __future__ import annotations

import html
import re

from tests.console.client import Console
from tests.console.place import Place
from tests.harness import wait_until
from tracklayer.demo.answers import Answer

LIST = "/settings/destinations"


def test_the_list_shows_each_destination_with_its_status_and_leads_to_it(place: Place) -> None:
    made = place.create(status="paused")
    page = place.console.get(LIST, q=place.name)
    assert f'href="{LIST}/{made["id"]}"' in page.text
    assert "paused" in page.words
    assert place.hook in page.words


def test_the_search_looks_into_names_urls_and_event_names(place: Place) -> None:
    made = place.create(name=f"Orders of {place.name}", filter={"event_name": ["refund_requested"]})
    for words in (f"orders of {place.name}", place.path, "REFUND_REQ"):
        assert made["id"] in place.console.get(LIST, q=words).text, words
    nothing = place.console.get(LIST, q="no such thing at all")
    assert made["id"] not in nothing.text
    assert "Nothing matches" in nothing.words


def test_the_status_narrows_the_list(place: Place) -> None:
    made = place.create(status="draft")
    assert made["id"] in place.console.get(LIST, status="draft").text
    assert made["id"] not in place.console.get(LIST, status="active").text


def test_pausing_from_the_list_answers_the_row_as_it_is_then(place: Place) -> None:
    made = place.create()
    row = place.console.post(f"{LIST}/{made['id']}/pause", htmx=True)
    assert row.status == 200
    assert row.text.lstrip().startswith("<tr")
    assert "Resume" in row.text
    assert place.api.get(f"/v1/destinations/{made['id']}").body["status"] == "paused"


def test_pausing_and_resuming_without_scripts_leads_to_the_destination(place: Place) -> None:
    made = place.create()
    assert place.send_form(made["id"], "/pause").location == f"{LIST}/{made['id']}"
    assert place.send_form(made["id"], "/resume").status == 303
    assert place.api.get(f"/v1/destinations/{made['id']}").body["status"] == "active"


def test_what_was_delivered_and_what_failed_stands_in_the_overview(place: Place) -> None:
    place.receiver.script(place.path, Answer(200), Answer(401))
    made = place.create()
    place.deliver()
    place.kill()

    def counted() -> bool:
        return "50 %" in place.page(made["id"]).words.replace("\N{NARROW NO-BREAK SPACE}", " ")

    wait_until(counted, what="one of two attempts to be counted as delivered")
    page = place.page(made["id"])
    assert f'href="/dead-letters?destination_id={made["id"]}"' in page.text
    assert '"label": "4xx"' in page.text
    wanted = re.search(
        r'"/(deliveries\?[^"]+T\d\d:00:00[^"]+state=delivered)"', page.text
    )  # it counts hours of the clock
    assert wanted
    place.receiver.script(place.path, Answer(200))
    assert place.api.post(f"/v1/destinations/{made['id']}/test", {"event": place.event()}).body["state"] == "delivered"
    rows = place.console.get("/" + html.unescape(wanted[1])).text
    assert rows.count('id="row-dlv_') == 1
    for window in ("1h", "7d"):
        assert place.console.get(f"{LIST}/{made['id']}", window=window).status == 200


def test_an_overview_warns_of_a_secret_that_is_missing(place: Place) -> None:
    made = place.create(transport={"headers": {"Authorization": "Bearer {{secrets.not_there_yet}}"}})
    page = place.page(made["id"])
    assert "The secret not_there_yet does not exist yet" in page.words
    assert 'href="/settings/secrets?return=' in page.text


def test_an_unknown_window_or_destination_is_said_and_is_no_crash(place: Place, console: Console) -> None:
    made = place.create()
    assert console.get(f"{LIST}/{made['id']}", window="2y").status == 400
    missing = console.get(f"{LIST}/dst_nothing")
    assert missing.status == 404
    assert "dst_nothing" in missing.words


def test_the_tabs_show_the_newest_deliveries_and_dead_letters(place: Place) -> None:
    place.receiver.script(place.path, Answer(200), Answer(422, body=b"no such field"))
    made = place.create()
    delivered = place.settled(place.send(), "delivered")
    dead = place.kill()
    deliveries = place.page(made["id"], "/deliveries")
    assert delivered["id"] in deliveries.text
    assert dead["id"] in deliveries.text
    dead_letters = place.page(made["id"], "/dead-letters")
    assert dead["id"] in dead_letters.text
    assert delivered["id"] not in dead_letters.text
    assert "no such field" in dead_letters.words
