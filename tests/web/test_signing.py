"""Signed requests as a receiver sees them, and a rotation without downtime."""

from __future__ import annotations

import hashlib
import hmac
import time

import pytest
from standardwebhooks import Webhook

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer import __version__
from tracklayer.demo.receiver import Recorded

SECRET = "dest_live_signing_9f3b27"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signature(secret: str, request: Recorded) -> str:
    return "sha256=" + hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()


def header(request: Recorded, name: str) -> str | None:
    values = [value for key, value in request.headers if key.lower() == name.lower()]
    assert len(values) <= 1, f"{name} came {len(values)} times"
    return values[0] if values else None


def test_a_request_carries_what_product_md_promises(site: Site) -> None:
    site.create(signing={"secret": SECRET}, transport={"headers": {"X-Environment": "production"}})
    event_id = site.send(event_id=f"{site.name} é")
    delivery = site.settled(event_id, "delivered")
    (request,) = site.requests
    assert request.method == "POST"
    assert header(request, "Content-Type") == "application/json"
    assert header(request, "User-Agent") == f"TrackLayer/{__version__}"
    assert header(request, "X-Environment") == "production"
    assert header(request, "X-TrackLayer-Event-Id") == f"{site.name}%20%C3%A9"
    assert header(request, "X-TrackLayer-Delivery-Id") == delivery["id"]
    assert header(request, "Idempotency-Key") == delivery["id"]
    assert header(request, "X-TrackLayer-Attempt") == "1"
    assert abs(int(header(request, "X-TrackLayer-Timestamp") or "") - time.time()) < 60
    assert header(request, "X-TrackLayer-Signature") == signature(SECRET, request)
    assert header(request, "X-TrackLayer-Signature-Previous") is None
    assert header(request, "webhook-id") is None


def test_custom_headers_may_replace_the_content_type_and_the_agent(site: Site) -> None:
    site.create(
        transport={"headers": {"content-type": "text/plain", "user-agent": "shop/1"}}, template="{{event_name}}!"
    )
    request = site.deliver()
    assert (header(request, "Content-Type"), header(request, "User-Agent")) == ("text/plain", "shop/1")
    assert request.body == f"{site.name}!".encode()
    assert header(request, "X-TrackLayer-Signature") is None


def test_a_get_has_no_body_and_is_signed_all_the_same(site: Site) -> None:
    site.create(signing={"secret": SECRET}, transport={"method": "GET", "url": site.hook + "?id={{event_id}}"})
    request = site.deliver(event_id=f"{site.name} ü&")
    assert (request.method, request.body) == ("GET", b"")
    assert request.target == f"{site.path}?id={site.name}%20%C3%BC%26"
    assert header(request, "X-TrackLayer-Signature") == signature(SECRET, request)
    assert header(request, "Content-Type") is None


def test_the_standard_webhooks_library_accepts_a_request(site: Site) -> None:
    site.create(signing={"secret": STANDARD, "scheme": "standard-webhooks"})
    request = site.deliver(properties={"text": "ünï"})
    Webhook(STANDARD).verify(request.body, dict(request.headers))
    assert header(request, "X-TrackLayer-Signature") == signature(STANDARD, request)
    assert header(request, "webhook-id") == header(request, "X-TrackLayer-Delivery-Id")


def test_a_rotation_signs_with_both_secrets_until_the_overlap_ends(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create(signing={'secret': SECRET})['id']}"
    new = "dest_live_new_11112222"
    rotated = ok(api.post(f"{path}/rotate-secret", {"secret": new, "overlap": "24h"}))
    assert rotated.keys() == {"id", "version", "signing", "previous_until"}
    assert rotated["signing"] == {"enabled": True, "hint": "…2222", "previous_until": rotated["previous_until"]}
    assert ok(api.get(path))["signing"] == rotated["signing"]
    assert rotated["version"] == 1
    request = site.deliver()
    assert header(request, "X-TrackLayer-Signature") == signature(new, request)
    assert header(request, "X-TrackLayer-Signature-Previous") == signature(SECRET, request)

    ok(api.post(f"{path}/rotate-secret", {"secret": "dest_live_third_3333", "overlap": "0s"}))
    request = site.deliver()
    assert header(request, "X-TrackLayer-Signature") == signature("dest_live_third_3333", request)
    assert header(request, "X-TrackLayer-Signature-Previous") is None


def test_a_short_overlap_ends_by_itself(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create(signing={'secret': SECRET})['id']}"
    ok(api.post(f"{path}/rotate-secret", {"secret": "dest_live_new_11112222", "overlap": "1ms"}))
    assert header(site.deliver(), "X-TrackLayer-Signature-Previous") is None
    assert "previous_until" not in ok(api.get(path))["signing"]


def test_both_standard_signatures_stand_in_one_header_during_a_rotation(api: Api, site: Site) -> None:
    made = site.create(signing={"secret": STANDARD, "scheme": "standard-webhooks"})
    rotated = ok(api.post(f"/v1/destinations/{made['id']}/rotate-secret"))
    assert rotated["secret"].startswith("whsec_")
    request = site.deliver()
    assert len((header(request, "webhook-signature") or "").split(" ")) == 2
    for secret in (STANDARD, rotated["secret"]):
        Webhook(secret).verify(request.body, dict(request.headers))


def test_a_rotation_without_a_secret_makes_one_and_shows_it_once(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create(signing={'secret': SECRET})['id']}"
    made = ok(api.post(f"{path}/rotate-secret", {}))["secret"]
    assert made.startswith("dest_live_")
    request = site.deliver()
    assert header(request, "X-TrackLayer-Signature") == signature(made, request)
    assert made not in str(ok(api.get(path)))


@pytest.mark.parametrize(
    "body, code, pointer",
    [
        ({"overlap": "a day"}, "invalid_duration", "/overlap"),
        ({"overlap": "31d"}, "invalid_duration", "/overlap"),
        ({"overlap": None}, "wrong_type", "/overlap"),
        ({"secret": ""}, "invalid_secret", "/secret"),
        ({"secret": "a\nb"}, "invalid_secret", "/secret"),
        ({"scheme": "tracklayer"}, "unknown_field", "/scheme"),
    ],
)
def test_a_bad_rotation_is_refused_and_shows_no_secret(
    api: Api, site: Site, body: object, code: str, pointer: str
) -> None:
    path = f"/v1/destinations/{site.create(signing={'secret': SECRET})['id']}"
    refused = problem(api.post(f"{path}/rotate-secret", body), 422, code, pointer=pointer)
    assert "a\nb" not in refused["detail"]
    request = site.deliver()
    assert header(request, "X-TrackLayer-Signature") == signature(SECRET, request)


def test_a_destination_that_does_not_sign_has_nothing_to_rotate(api: Api, site: Site) -> None:
    problem(api.post(f"/v1/destinations/{site.create()['id']}/rotate-secret"), 409, "not_signed")


def test_a_restored_version_signs_with_the_secret_of_today(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create(signing={'secret': SECRET})['id']}"
    ok(api.post(f"{path}/rotate-secret", {"secret": "dest_live_new_11112222", "overlap": "0s"}))
    ok(api.patch(path, {"template": "{}"}))
    ok(api.post(f"{path}/versions/1/restore"))
    request = site.deliver()
    assert header(request, "X-TrackLayer-Signature") == signature("dest_live_new_11112222", request)


def test_restoring_a_version_that_signed_needs_a_secret_to_sign_with(api: Api, site: Site) -> None:
    path = f"/v1/destinations/{site.create(signing={'secret': SECRET})['id']}"
    ok(api.patch(path, {"signing": None}))
    problem(api.post(f"{path}/versions/1/restore"), 409, "no_signing_secret")
    assert ok(api.get(path))["signing"] is None
