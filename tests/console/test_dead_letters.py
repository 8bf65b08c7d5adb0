"""`/dead-letters`: causes, mending, replaying at a pace, letting go."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from tests.console.place import Place
from tests.harness import wait_until
from tracklayer.demo.answers import Answer


@pytest.fixture
def refused(place: Place) -> dict[str, Any]:
    """A destination with three dead letters: the receiver does not accept the token."""
    place.receiver.script(place.path, Answer(401, body=b'{"error": "invalid token"}'))
    made = place.create(template='{"order": "{{properties.order_id}}"}')
    for order in ("A1", "A2", "A3"):
        place.kill(properties={"order_id": order})
    return made


def chosen(place: Place, destination_id: str) -> dict[str, str]:
    """What the forms of the page of this cause send without being asked."""
    page = place.console.get("/dead-letters", destination_id=destination_id, cause="401")
    return page.hidden("destination_id", "cause", "as_of", "seen")


def test_the_first_thing_seen_is_the_cause_with_its_count_and_first_lines(
    place: Place, refused: dict[str, Any]
) -> None:
    page = place.console.get("/dead-letters", destination_id=refused["id"])
    assert "3 dead letters by cause" in page.words
    assert "401" in page.words
    assert "invalid token" in page.words
    assert f"destination_id={refused['id']}&amp;cause=401" in page.text


def test_a_cause_offers_to_mend_with_the_way_back_to_replay_and_to_let_go(
    place: Place, refused: dict[str, Any]
) -> None:
    page = place.console.get("/dead-letters", destination_id=refused["id"], cause="401")
    assert "The receiver does not accept the credentials." in page.words
    assert 'href="/settings/secrets?return=' in page.text
    assert f'href="/settings/destinations/{refused["id"]}/edit?event=' in page.text
    assert "Replay 3" in page.words
    assert "Discard 3" in page.words


def test_what_is_left_of_a_cause_is_counted_as_its_page_has_counted_it(place: Place, refused: dict[str, Any]) -> None:
    page = place.console.get("/dead-letters", destination_id=refused["id"], cause="401")
    asked = unescape(re.search(r'hx-get="(/dead-letters/counted[^"]+)"', page.text)[1])  # type: ignore[index]
    place.kill(properties={"order_id": "A4"})
    first = place.api.get("/v1/dead-letters", destination_id=refused["id"]).body["data"][-1]
    place.console.post(f"/deliveries/{first['id']}/discard", {"reason": "a test"})
    left = place.console.fragment(asked)
    assert 'hx-swap-oob="outerHTML:.cause-count">2</span>' in left.text
    assert 'name="seen" value="2" hx-swap-oob="outerHTML:input[name=seen]"' in left.text
    assert place.console.get(asked).location == f"/dead-letters?destination_id={refused['id']}&cause=401"


def test_a_missing_secret_is_mended_among_the_secrets(place: Place) -> None:
    made = place.create(template='{"token": "{{secrets.not_there_yet}}"}')
    place.settled(place.send(), "dead")
    page = place.console.get("/dead-letters", destination_id=made["id"], cause="render")
    assert "Change the secret" in page.words
    assert "Edit the template" not in page.words


def test_a_route_that_is_suppressed_from_here_says_so_here(place: Place, refused: dict[str, Any]) -> None:
    page = place.console.get("/dead-letters", destination_id=refused["id"], cause="401")
    assert "in force" not in page.words
    form = {"reason": "they move"} | page.hidden("filter", "return", "new_id")
    after = place.console.follow(place.send_form(refused["id"], "/suppressions", **form))
    assert "1 suppression in force" in after.words
    assert place.send_form(refused["id"], "/suppressions", **form).status == 409  # it was pressed twice
    assert len(place.api.get(f"/v1/destinations/{refused['id']}/suppressions").body["data"]) == 1


def test_comparing_shows_the_bodies_that_a_rerender_would_send(place: Place, refused: dict[str, Any]) -> None:
    place.api.patch(f"/v1/destinations/{refused['id']}", {"template": '{"order_number": "{{properties.order_id}}"}'})
    form = {"destination_id": refused["id"], "cause": "401", "mode": "rerender"}
    found = place.console.post("/dead-letters/compare", form, htmx=True)
    assert "3 would be sent rendered again" in found.words
    assert '"order_number": "A3"' in found.words
    assert "<html" not in found.text
    whole = place.console.post("/dead-letters/compare", form | {"mode": "as_sent"})
    assert "3 would be sent as they were" in whole.words
    assert "<html" in whole.text


def test_a_replay_shows_its_progress_until_all_is_sent(place: Place, refused: dict[str, Any]) -> None:
    place.receiver.script(place.path, Answer(200))
    started = place.console.post("/dead-letters/replay", chosen(place, refused["id"]) | {"mode": "rerender"})
    assert started.location.startswith("/dead-letters/replays/rpl_")

    wait_until(lambda: "Replayed 3 of 3" in place.console.fragment(started.location).words, what="the replay to end")
    ended = place.console.fragment(started.location)
    assert "hx-trigger" not in ended.text  # it asks no more
    assert ended.headers["hx-trigger"] == "dead-letters-changed"
    assert 'hx-swap-oob="outerHTML:.rail-count"' in ended.text
    wait_until(lambda: len(place.requests) == 6, what="three more requests")
    assert "No dead letter has this" in place.console.get("/dead-letters", destination_id=refused["id"]).words


def test_a_slow_replay_can_be_stopped_and_what_is_left_stays(place: Place, refused: dict[str, Any]) -> None:
    form = chosen(place, refused["id"]) | {"mode": "as_sent", "per_second": "0.02"}
    started = place.console.post("/dead-letters/replay", form)
    running = place.console.get("/dead-letters", destination_id=refused["id"])
    assert "of 3" in running.words
    stopped = place.console.post(f"{started.location}/cancel", htmx=True)
    assert "Stopped" in stopped.words
    left = place.api.get("/v1/dead-letters", destination_id=refused["id"]).body["data"]
    assert len(left) >= 2


@pytest.mark.parametrize("pace", ["quick", "-1", "0", "nan"])
def test_a_pace_that_is_none_is_said(place: Place, refused: dict[str, Any], pace: str) -> None:
    answer = place.console.post("/dead-letters/replay", chosen(place, refused["id"]) | {"per_second": pace})
    assert answer.status == 422
    assert "pace" in answer.errors or "per_second" in answer.errors
    assert "Replay 3" in answer.words


def test_discarding_many_takes_a_reason_and_keeps_it(place: Place, refused: dict[str, Any]) -> None:
    form = chosen(place, refused["id"])
    after = place.console.follow(place.console.post("/dead-letters/discard", form | {"reason": "test orders"}))
    assert "Discarded: 3." in after.words
    gone = place.api.get("/v1/deliveries", destination_id=refused["id"], state="discarded").body["data"]
    assert [each["reason"] for each in gone] == ["test orders"] * 3


def test_dead_letters_of_a_deleted_destination_can_only_be_let_go(place: Place, refused: dict[str, Any]) -> None:
    place.api.delete(f"/v1/destinations/{refused['id']}")
    page = place.console.get("/dead-letters", destination_id=refused["id"], cause="401")
    assert "The destination is deleted" in page.words
    assert "Discard 3" in page.words
    assert "Replay 3" not in page.words


def test_what_died_since_the_page_was_loaded_is_not_discarded_with_the_rest(
    place: Place, refused: dict[str, Any]
) -> None:
    form = chosen(place, refused["id"]) | {"reason": "test orders"}
    place.kill(properties={"order_id": "A4"})
    assert place.console.post("/dead-letters/discard", form).status == 303
    (left,) = place.api.get("/v1/dead-letters", destination_id=refused["id"]).body["data"]
    event = place.api.get(f"/v1/events/{left['event_id']}").body
    assert event["properties"]["order_id"] == "A4"


def test_what_died_since_the_page_was_loaded_is_not_replayed_with_the_rest(
    place: Place, refused: dict[str, Any]
) -> None:
    form = chosen(place, refused["id"])
    place.kill(properties={"order_id": "A4"})
    place.receiver.script(place.path, Answer(200))
    started = place.console.post("/dead-letters/replay", form)
    wait_until(lambda: "Replayed 3 of 3" in place.console.fragment(started.location).words, what="the replay to end")
    assert len(place.api.get("/v1/dead-letters", destination_id=refused["id"]).body["data"]) == 1


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_more_than_the_page_has_counted_is_shown_again_and_left_as_it_is(
    place: Place, refused: dict[str, Any], verb: str
) -> None:
    form = chosen(place, refused["id"]) | {"seen": "2", "reason": "test orders"}
    again = place.console.post(f"/dead-letters/{verb}", form)
    assert again.status == 409
    assert "1 more came since the page was loaded" in again.words
    assert "Discard 3" in again.words
    assert len(place.api.get("/v1/dead-letters", destination_id=refused["id"]).body["data"]) == 3


@pytest.mark.parametrize("reason,words", [(" ", "To discard many takes a reason"), ("x" * 501, "at most 500")])
def test_a_reason_that_is_none_is_told_at_its_field_and_stays_there(
    place: Place, refused: dict[str, Any], reason: str, words: str
) -> None:
    page = place.console.post("/dead-letters/discard", chosen(place, refused["id"]) | {"reason": reason})
    assert page.status == 422
    assert words in page.errors
    assert f'id="discard-all-reason" name="reason" type="text" value="{reason}"' in page.text
    assert "Discard 3" in page.words
