"""Versions: who saved what, when and why; previews, comparisons, restoring; and which version a delivery went with."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site


def rendered(api: Api, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    render: dict[str, Any] = ok(api.post(f"/v1/destinations/{made['id']}/preview", body))["steps"]["render"]
    return render


def compare(api: Api, made: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer: dict[str, Any] = ok(api.post(f"/v1/destinations/{made['id']}/compare", body))
    return answer


# Versions


def test_a_version_keeps_its_author_note_time_and_changes(api: Api, site: Site) -> None:
    key = ok(api.post("/v1/api-keys", {"name": "Kim", "scopes": ["destinations:write", "destinations:read"]}), 201)
    made = site.create(template='{"a": 1}', note="first try")
    path = f"/v1/destinations/{made['id']}"
    Api(api.url, key["key"]).patch(
        path, {"template": '{"a": 2}', "on_missing": "null", "retry": {"attempts": 3}, "note": "the receiver wants 2"}
    )
    second, first = ok(api.get(f"{path}/versions"))["data"]
    assert (first["version"], first["author"], first["note"]) == (1, "TRACKLAYER_ADMIN_KEY", "first try")
    assert first["changes"] is None
    assert (second["version"], second["author"], second["note"]) == (2, "Kim", "the receiver wants 2")
    assert second["created_at"] >= first["created_at"]
    assert second["changes"] == [
        {"path": "template", "old": '{"a": 1}', "new": '{"a": 2}'},
        {"path": "on_missing", "old": "empty", "new": "null"},
        {"path": "retry.attempts", "old": 5, "new": 3},
    ]
    api.delete(f"/v1/api-keys/{key['id']}")


def test_a_restore_brings_everything_back(api: Api, site: Site) -> None:
    schema = {"required": ["a"]}
    made = site.create(template='{"a": 1}', on_missing="omit", body_schema=schema)
    path = f"/v1/destinations/{made['id']}"
    ok(api.put(path, site.draft(template='{"b": 1}')))
    restored = ok(api.post(f"{path}/versions/1/restore"))
    assert restored["version"] == 3
    assert (restored["template"], restored["on_missing"], restored["body_schema"]) == ('{"a": 1}', "omit", schema)


def test_a_delivery_knows_the_version_that_it_was_sent_with(api: Api, site: Site) -> None:
    made = site.create(template='{"v": {{destination.version}}}')
    first = site.send()
    assert site.settled(first, "delivered")["destination_version"] == 1
    ok(api.patch(f"/v1/destinations/{made['id']}", {"note": "again"}))
    second = site.send()
    delivery = site.settled(second, "delivered")
    assert delivery["destination_version"] == 2
    assert [json.loads(request.body) for request in site.requests] == [{"v": 1}, {"v": 2}]
    (attempt,) = ok(api.get(f"/v1/deliveries/{delivery['id']}"))["attempts"]
    assert attempt["destination_version"] == 2


# Previews


def test_any_version_is_previewed_against_any_stored_event(api: Api, site: Site) -> None:
    made = site.create(template='{"old": "{{properties.n}}"}')
    one, two = site.send(properties={"n": 1}), site.send(properties={"n": 2})
    ok(api.patch(f"/v1/destinations/{made['id']}", {"template": '{"new": "{{properties.n}}"}'}))
    bodies = [
        rendered(api, made, version=version, event_id=event_id)["request"]["body"]
        for version in (1, 2)
        for event_id in (one, two)
    ]
    assert bodies == ['{"old": "1"}', '{"old": "2"}', '{"new": "1"}', '{"new": "2"}']
    assert rendered(api, made, event_id=two)["request"]["body"] == '{"new": "2"}'
    assert rendered(api, made, event_id=one, template='{"x": {{properties.n}}}')["request"]["body"] == '{"x": 1}'


@pytest.mark.parametrize(
    "body, status, code, pointer",
    [
        ({"version": 9}, 404, "not_found", None),
        ({"version": 0}, 404, "not_found", None),
        ({"version": "1"}, 422, "wrong_type", "/version"),
        ({"version": True}, 422, "wrong_type", "/version"),
        ({"version": 1, "template": "{}"}, 422, "ambiguous", "/version"),
        ({"event_id": "never sent"}, 404, "not_found", "/event_id"),
        ({"event_id": 5}, 404, "not_found", "/event_id"),
        ({"event_id": "x", "event": {"event_name": "x"}}, 422, "ambiguous", "/event_id"),
    ],
)
def test_a_preview_of_what_is_not_there_is_refused(
    api: Api, site: Site, body: dict[str, Any], status: int, code: str, pointer: str | None
) -> None:
    made = site.create()
    problem(api.post(f"/v1/destinations/{made['id']}/preview", body), status, code, pointer=pointer)


def test_a_preview_signs_as_the_save_would(api: Api, site: Site) -> None:
    made = site.create(signing={"secret": "dest_live_preview_1"})
    path = f"/v1/destinations/{made['id']}/preview"
    event = {"event": site.event()}
    unsigned = ok(api.post(path, event | {"signing": None}))
    assert unsigned["steps"]["sign"] is None
    standard = {"scheme": "standard-webhooks", "secret": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="}
    assert ok(api.post(path, event | {"signing": standard}))["steps"]["sign"] == {
        "scheme": "standard-webhooks",
        "header": "X-TrackLayer-Signature",
        "verified": True,
    }
    bad = api.post(path, event | {"signing": {"scheme": "standard-webhooks"}})
    problem(bad, 422, "invalid_secret", pointer="/signing/secret")


# What would change


def test_a_change_is_compared_over_the_last_hundred_matching_events(api: Api, site: Site) -> None:
    events = [site.event(event_id=f"{site.name}_{number:03}", properties={"n": number % 2}) for number in range(130)]
    ok(api.post("/v1/events/batch", {"events": events}), 202)
    made = site.create(template='{"n": {{properties.n}}, "even": false}')
    same = compare(api, made, template='{"even": false, "n": {{properties.n}}}'.replace('"even": false, ', ""))
    assert (same["compared"], same["changed"]) == (100, 100)
    half = compare(api, made, template='{"n": {{properties.n}}, "even": {{#if properties.n}}false{{else}}true{{/if}}}')
    assert (half["compared"], half["changed"], half["failing"], len(half["diffs"])) == (100, 50, 0, 20)
    newest = half["diffs"][0]
    assert newest == {
        "event_id": f"{site.name}_128",
        "before": '{"n": 0, "even": false}',
        "after": '{"n": 0, "even": true}',
        "error_before": None,
        "error": None,
        "suppressed_before": None,
        "suppressed": None,
        "diff": '--- before\n+++ after\n@@ -1,4 +1,4 @@\n {\n   "n": 0,\n-  "even": false\n+  "even": true\n }',
    }
    assert ok(api.get(f"/v1/destinations/{made['id']}"))["version"] == 1
    assert compare(api, made)["changed"] == 0


def test_a_number_that_becomes_a_text_is_a_change_that_the_diff_shows(api: Api, site: Site) -> None:
    site.send(properties={"v": 1.5})
    made = site.create(template='{"v": {{properties.v}}}')
    (change,) = compare(api, made, template='{"v": "{{properties.v}}"}')["diffs"]
    assert '-  "v": 1.5\n+  "v": "1.5"' in change["diff"]


def test_events_that_a_new_filter_takes_or_leaves_are_shown(api: Api, site: Site) -> None:
    site.send(event_id=f"{site.name}_web", platform="web")
    site.send(event_id=f"{site.name}_ios", platform="ios")
    narrow = {"event_name": [site.name], "platform": "web"}
    made = site.create(template='{"p": "{{platform}}"}', filter=narrow)
    answer = compare(api, made, filter={"event_name": [site.name], "platform": "ios"})
    assert [(each["event_id"], each["before"], each["after"]) for each in answer["diffs"]] == [
        (f"{site.name}_ios", None, '{"p": "ios"}'),
        (f"{site.name}_web", '{"p": "web"}', None),
    ]


def test_events_that_consent_would_keep_back_are_shown_with_the_reason(api: Api, site: Site) -> None:
    site.send(event_id=f"{site.name}_yes", consent={"ad_storage": "granted"})
    site.send(event_id=f"{site.name}_no", consent={"ad_storage": "denied"})
    made = site.create(template='{"x": 1}')
    strict = {"consent": {"requires": ["ad_storage"], "when_unknown": "deny"}}
    answer = compare(api, made, **strict)
    assert (answer["compared"], answer["changed"], answer["failing"]) == (2, 1, 0)
    (change,) = answer["diffs"]
    assert (change["event_id"], change["before"], change["after"]) == (f"{site.name}_no", '{"x": 1}', None)
    assert (change["suppressed_before"], change["suppressed"]) == (None, "consent: ad_storage is denied by the event")
    ok(api.patch(f"/v1/destinations/{made['id']}", strict))
    assert compare(api, made, template='{"x": 2}')["changed"] == 1
    (change,) = compare(api, made, consent=None)["diffs"]
    assert (change["before"], change["suppressed_before"]) == (None, "consent: ad_storage is denied by the event")
    assert (change["after"], change["suppressed"]) == ('{"x": 1}', None)


def test_events_that_could_no_longer_be_sent_are_shown_with_the_reason(api: Api, site: Site) -> None:
    site.send(properties={"order_id": "1"})
    made = site.create(template='{"id": "{{properties.order_id}}"}')
    answer = compare(api, made, body_schema={"properties": {"id": {"type": "integer"}}})
    assert (answer["compared"], answer["changed"], answer["failing"]) == (1, 1, 1)
    (change,) = answer["diffs"]
    assert change["error"] == 'the rendered body breaks body_schema at /id: the value is not of type "integer"'
    assert change["error_before"] is None
    (change,) = compare(api, made, template='{"id": "{{properties.none}}"}', on_missing="fail")["diffs"]
    assert (change["before"], change["after"]) == ('{"id": "1"}', None)
    assert "properties.none is missing" in change["error"]


def test_a_change_of_the_url_or_of_a_header_is_a_change(api: Api, site: Site) -> None:
    site.send()
    made = site.create(template="{}", signing={"secret": "dest_live_compare_1"})
    answer = compare(api, made, transport={"headers": {"X-Env": "{{event_name}}"}})
    (change,) = answer["diffs"]
    assert f"+X-Env: {site.name}" in change["diff"].splitlines()
    assert f" POST {site.hook}" in change["diff"].splitlines()
    assert "Signature" not in change["diff"]
    assert compare(api, made, retry={"attempts": 1})["changed"] == 0


def test_restoring_a_version_is_compared_before_it_is_done(api: Api, site: Site) -> None:
    site.send()
    made = site.create(template='{"v": 1}')
    ok(api.patch(f"/v1/destinations/{made['id']}", {"template": '{"v": 2}'}))
    (change,) = compare(api, made, version=1)["diffs"]
    assert (change["before"], change["after"]) == ('{"v": 2}', '{"v": 1}')
    answer = api.post(f"/v1/destinations/{made['id']}/compare", {"version": 7})
    problem(answer, 404, "not_found")


def test_tests_are_not_compared(api: Api, site: Site) -> None:
    made = site.create()
    ok(api.post(f"/v1/destinations/{made['id']}/test", {"event": site.event()}))
    assert compare(api, made, template="{}")["compared"] == 0


def test_a_comparison_shows_no_secret_and_still_sees_that_it_is_another_one(api: Api, site: Site) -> None:
    for name, value in (("one", "zq-Kestrel-77-aaaa"), ("two", "zq-Falcon-78-bbbb")):
        ok(api.put(f"/v1/secrets/{site.name}_{name}", {"value": value}))
    site.send()
    made = site.create(
        transport={"headers": {"Authorization": f"Bearer {{{{secrets.{site.name}_one}}}}"}},
        template=f'{{"token": "{{{{secrets.{site.name}_one}}}}"}}',
    )
    answer = compare(
        api,
        made,
        transport={"headers": {"Authorization": f"Bearer {{{{secrets.{site.name}_two}}}}"}},
        template=f'{{"token": "{{{{secrets.{site.name}_two}}}}"}}',
    )
    assert answer["changed"] == 1
    text = json.dumps(answer)
    assert "Kestrel" not in text
    assert "Falcon" not in text


@pytest.mark.parametrize(
    "body, pointer",
    [
        ({"template": "{{#if}}"}, "/template"),
        ({"body_schema": {"type": 1}}, "/body_schema/type"),
        ({"nope": 1}, "/nope"),
    ],
)
def test_a_change_that_could_not_be_saved_is_not_compared(
    api: Api, site: Site, body: dict[str, Any], pointer: str
) -> None:
    answer = api.post(f"/v1/destinations/{site.create()['id']}/compare", body)
    problem(answer, 422, answer.body["code"], pointer=pointer)
