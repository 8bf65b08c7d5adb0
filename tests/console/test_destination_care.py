"""A destination's versions, signing, suppressions and end."""

from __future__ import annotations

from tests.console.client import EMAIL
from tests.console.place import Place
from tests.harness import wait_until

SECRET = "dest_live_9f3b27"


def test_the_versions_show_what_each_one_changed_and_who_made_it(place: Place) -> None:
    made = place.create(template='{"a": 1}')
    place.api.patch(f"/v1/destinations/{made['id']}", {"template": '{"a": 2}', "note": "the second field"})
    page = place.page(made["id"], "/versions")
    assert "Version 2" in page.words
    assert "the second field" in page.words
    assert '-{"a": 1}' in page.words
    assert '+{"a": 2}' in page.words


def test_restoring_shows_what_would_change_first_and_then_saves_anew(place: Place) -> None:
    made = place.create(template='{"a": 1}')
    event_id = place.send()
    place.api.patch(f"/v1/destinations/{made['id']}", {"template": '{"a": 2}'})

    compared = place.page(made["id"], "/versions/1")
    assert "1 of 1 requests would differ" in compared.words
    assert event_id in compared.words

    assert place.send_form(made["id"], "/versions/1/restore", seen="2").status == 303
    restored = place.api.get(f"/v1/destinations/{made['id']}").body
    assert (restored["version"], restored["template"]) == (3, '{"a": 1}')
    versions = place.api.get(f"/v1/destinations/{made['id']}/versions").body["data"]
    assert versions[0]["author"] == EMAIL


def test_the_version_in_use_has_nothing_to_restore(place: Place) -> None:
    made = place.create(template='{"a": 1}')
    page = place.page(made["id"], "/versions/1")
    assert "Version 1 is in use" in page.words
    assert "Restore" not in page.words
    assert '"{\\"a\\": 1}"' in page.code("configuration")
    assert f'href="/settings/destinations/{made["id"]}/versions" aria-current="page"' in page.text


def test_a_restore_that_did_not_see_the_newest_version_is_refused(place: Place) -> None:
    made = place.create()
    place.api.patch(f"/v1/destinations/{made['id']}", {"template": '{"a": 2}'})
    refused = place.send_form(made["id"], "/versions/1/restore", seen="1")
    assert refused.status == 412
    assert "is at version 2" in refused.words


def test_a_rotation_shows_the_new_secret_once_and_signs_with_both(place: Place) -> None:
    made = place.create(signing={"secret": SECRET})
    shown = place.send_form(made["id"], "/signing/rotate", overlap="1h", secret="")
    assert "The new signing secret" in shown.words
    assert "signs beside it until" in shown.words
    after = place.page(made["id"], "/signing")
    assert "The new signing secret" not in after.words
    request = place.deliver()
    assert "x-tracklayer-signature-previous" in {name.lower() for name, _ in request.headers}


def test_a_rotation_that_is_sent_twice_rotates_once(place: Place) -> None:
    made = place.create(signing={"secret": SECRET})
    form = {"overlap": "1h", "secret": "", "seen": place.page(made["id"], "/signing").value("seen")}
    place.send_form(made["id"], "/signing/rotate", **form)
    rotated = place.api.get(f"/v1/destinations/{made['id']}").body["signing"]["hint"]
    again = place.send_form(made["id"], "/signing/rotate", **form)
    assert again.status == 409
    assert "The secret was changed meanwhile, and so was not rotated again." in again.words
    assert place.api.get(f"/v1/destinations/{made['id']}").body["signing"]["hint"] == rotated == again.value("seen")


def test_a_rotation_with_a_bad_overlap_says_so_at_the_field_and_rotates_nothing(place: Place) -> None:
    made = place.create(signing={"secret": SECRET})
    refused = place.send_form(made["id"], "/signing/rotate", overlap="soon", secret="")
    assert refused.status == 422
    assert 'id="overlap-error"' in refused.text
    assert 'value="soon"' in refused.text
    assert place.api.get(f"/v1/destinations/{made['id']}").body["signing"]["hint"] == "…3b27"


def test_the_snippets_are_those_of_the_scheme(place: Place) -> None:
    plain = place.create(signing={"secret": SECRET})
    standard = place.create(
        name=f"{place.name} standard", signing={"secret": "whsec_" + "MTIz" * 8, "scheme": "standard-webhooks"}
    )
    assert "X-TrackLayer-Signature" in place.page(plain["id"], "/signing").words
    assert "webhook-signature" in place.page(standard["id"], "/signing").words
    unsigned = place.create(name=f"{place.name} unsigned")
    assert "Requests are not signed" in place.page(unsigned["id"], "/signing").words


def test_a_suppression_is_made_and_lifted(place: Place) -> None:
    made = place.create()
    form = {"reason": "the receiver moves", "filter": f'{{"event_name": ["{place.name}"]}}', "until": "2h"}
    assert place.send_form(made["id"], "/suppressions", **form).status == 303
    (suppression,) = place.api.get(f"/v1/destinations/{made['id']}/suppressions").body["data"]
    assert suppression["author"] == EMAIL
    assert suppression["until"] is not None
    assert "the receiver moves" in place.page(made["id"], "/suppressions").words
    place.settled(place.send(), "suppressed")

    assert place.send_form(made["id"], f"/suppressions/{suppression['id']}/lift").status == 303
    assert place.api.get(f"/v1/destinations/{made['id']}/suppressions").body["data"] == []


def test_a_suppression_whose_form_is_sent_twice_is_made_once(place: Place) -> None:
    made = place.create()
    drawn = place.page(made["id"], "/suppressions").hidden("new_id")
    form = drawn | {"reason": "the receiver moves", "filter": "", "until": "2h"}
    assert place.send_form(made["id"], "/suppressions", **form).status == 303
    again = place.send_form(made["id"], "/suppressions", **form)
    assert again.status == 409
    assert "This form was sent already, and made its suppression: no other one was made." in again.words
    assert again.words.count("the receiver moves") == 1
    (suppression,) = place.api.get(f"/v1/destinations/{made['id']}/suppressions").body["data"]
    assert suppression["id"] == drawn["new_id"]
    assert place.page(made["id"], "/suppressions").hidden("new_id") != drawn


def test_what_is_wrong_with_a_suppression_stands_at_its_field_and_nothing_typed_is_lost(place: Place) -> None:
    made = place.create()
    wrong = [("filter", "{oops"), ("filter", "[1]"), ("reason", "  ")]
    wrong += [("until", value) for value in ("someday", "0s", "2020-01-01", "9999-12-31T23:59:59-23:59")]
    for field, value in wrong:
        form = {"reason": "typed by hand", "filter": "", "until": "", field: value}
        refused = place.send_form(made["id"], "/suppressions", **form)
        assert refused.status == 422, value
        assert f'id="{field}-error"' in refused.text, value
        assert form["reason"] in refused.text
    assert place.api.get(f"/v1/destinations/{made['id']}/suppressions").body["data"] == []


def test_a_form_leads_back_only_to_pages_of_ours(place: Place) -> None:
    made = place.create()
    form = {"reason": "elsewhere", "filter": "", "until": "1h"}
    for address in ("https://evil.example.com", "//evil.example.com", "/\\evil.example.com"):
        answer = place.send_form(made["id"], "/suppressions", **form, **{"return": address})
        assert answer.location == f"/settings/destinations/{made['id']}/suppressions", address
    answer = place.send_form(made["id"], "/suppressions", **form, **{"return": "/dead-letters?cause=401"})
    assert answer.location == "/dead-letters?cause=401"


def test_deleting_asks_for_the_name_and_for_what_waits(place: Place) -> None:
    made = place.create(status="paused")
    place.settled(place.send(), "pending")
    assert place.send_form(made["id"], "/delete", name="something else").status == 422
    wait_until(lambda: "1 delivery waits for it." in place.page(made["id"], "/settings").words, what="it to be seen")
    refused = place.send_form(made["id"], "/delete", name=place.name)
    assert refused.status == 409
    assert "Deliveries wait for it: say above that they are to be discarded" in refused.words
    assert "?deliveries" not in refused.words
    assert f'value="{place.name}"' not in refused.text, "a name is typed anew for each try"
    gone = place.send_form(made["id"], "/delete", name=place.name, discard="yes")
    assert gone.location == "/settings/destinations"
    assert place.console.get(f"/settings/destinations/{made['id']}").status == 404
