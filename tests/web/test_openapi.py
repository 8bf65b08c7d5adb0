"""`/openapi.json` is valid, and true to the handlers: every call answers as it says, whatever it is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.harness import Api, ReceiverThread, ServerProcess
from tests.sources.shopify_samples import order
from tests.web.expect import ok, problem
from tests.web.senders import made as made_source
from tests.web.senders import rejected, webhook
from tests.web.site import Site
from tracklayer.demo.receiver import Answer

EXAMPLES = int(os.environ.get("TRACKLAYER_TEST_REQUESTS", "5"))  # of each call; `make fuzz` makes more
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server of its own: what is generated here deletes, replays and makes keys at random."""
    with ServerProcess(tmp_path_factory.mktemp("openapi") / "data") as running:
        yield running
        crashes = running.log_lines("request_failed")
        assert not crashes, "\n".join(line.get("exception", str(line)) for line in crashes)


@pytest.fixture(scope="module")
def document(other: ServerProcess) -> dict[str, Any]:
    return dict(ok(Api(other.url, None).get("/openapi.json")))


@pytest.fixture(scope="module")
def generated(document: dict[str, Any], other: ServerProcess) -> Any:
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=other.url)
    return schema


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert errors == []


def test_it_names_every_call_of_the_contract(document: dict[str, Any]) -> None:
    calls = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    one = "/v1/destinations/{destination_id}"
    expected = {
        *("POST /v1/events", "POST /v1/events/batch", "GET /v1/events", "GET /v1/events/{event_id}"),
        *("GET /v1/events/{event_id}/explain", "GET /v1/destinations", "POST /v1/destinations"),
        *(f"{method} {one}" for method in ("GET", "PUT", "PATCH", "DELETE")),
        *(f"GET {one}/versions", f"POST {one}/versions/{{number}}/restore"),
        *(f"POST {one}/{verb}" for verb in ("pause", "resume", "rotate-secret", "suppressions", "preview", "test")),
        *("GET /v1/deliveries", "GET /v1/deliveries/{delivery_id}"),
        *("GET /v1/dead-letters", "GET /v1/dead-letters/{delivery_id}", "POST /v1/dead-letters/replay"),
        *("POST /v1/dead-letters/{delivery_id}/replay", "POST /v1/dead-letters/{delivery_id}/discard"),
        *("POST /v1/dead-letters/discard", "GET /v1/replays", "GET /v1/replays/{replay_id}"),
        "POST /v1/replays/{replay_id}/cancel",
        *("GET /v1/secrets", "GET /v1/secrets/{name}", "PUT /v1/secrets/{name}", "DELETE /v1/secrets/{name}"),
        *("GET /v1/api-keys", "POST /v1/api-keys", "DELETE /v1/api-keys/{key_id}"),
        *("GET /v1/sources", "POST /v1/sources", "POST /v1/sources/{source_id}/rotate-key"),
        *(f"{method} /v1/sources/{{source_id}}" for method in ("GET", "PATCH", "DELETE")),
        *("GET /v1/rejected", "GET /v1/rejected/{rejected_id}", "DELETE /v1/rejected/{rejected_id}"),
        "POST /v1/rejected/{rejected_id}/reingest",
        *("GET /healthz", "GET /readyz", "GET /metrics", "GET /v1/schemas/event.json"),
    }
    assert expected <= calls, expected - calls


def test_every_call_says_what_it_is_and_what_it_refuses(document: dict[str, Any]) -> None:
    open_to_all = ("/healthz", "/readyz", "/metrics", "/v1/schemas/event.json")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            assert operation.get("summary"), place
            assert operation["responses"].keys() >= {"4XX", "503"}, place
            assert operation.get("security") == ([] if path in open_to_all else None), place


def test_a_draft_refuses_unknown_fields_in_the_document_too(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("DestinationDraft", "Transport", "SigningDraft", "Retry", "BulkReplayRequest", "BulkDiscardRequest"):
        assert schemas[name]["additionalProperties"] is False, name


@pytest.fixture(scope="module")
def standing(other: ServerProcess, receiver: ReceiverThread) -> dict[str, Any]:
    """One thing of each kind, for the paths to name."""
    api = Api(other.url, other.key)
    site = Site(api, receiver, "openapi")
    receiver.script(site.path, Answer(401))
    made = site.create(signing={"secret": "dest_live_9f3b27"}, rate_limit={"events_per_second": 25}, consent={})
    deaths = [site.kill() for _ in range(3)]
    ok(api.put("/v1/secrets/kept", {"value": "kept-value-1234"}))
    ok(api.put("/v1/audiences/kept", {"static": True}))
    path = f"/v1/destinations/{made['id']}"
    suppression = ok(api.post(f"{path}/suppressions", {"reason": "r", "filter": {"platform": ["x"]}}), 201)
    key = ok(api.post("/v1/api-keys", {"name": "k", "scopes": ["events:read"]}), 201)
    replay = ok(api.post("/v1/dead-letters/replay", {"cause": "none", "per_second": 1}), 202)
    spare = site.create()
    source = made_source(api, "shopify", "kept")
    for number in (1, 2):
        ok(webhook(api, source, order(id=number), X_Shopify_Topic="orders/paid"))
    ok(api.patch(f"/v1/sources/{source['id']}", {"settings": {"topics": {"orders/paid": "openapi_other"}}}))
    return {
        "source_id": source["id"],
        "rejected_ids": [each["id"] for each in rejected(api, source)],
        "destination_id": made["id"],
        "event_id": deaths[0]["event_id"],
        "delivery_ids": [death["id"] for death in deaths],
        "name": "kept",
        "number": 1,
        "suppression_id": suppression["id"],
        "key_id": key["id"],
        "replay_id": replay["id"],
        "spare": spare["id"],
        "draft": site.draft(),
    }


BODIES: dict[str, Any] = {
    "POST /v1/events": {"event_name": "openapi_other", "properties": {"value": 1.5}},
    "POST /v1/events/batch": {"events": [{"event_name": "openapi_other"}, {"bad": True}]},
    "POST /v1/consent/test": {"event": {"event_name": "openapi_other", "consent": {"ad_storage": True}}},
    "POST /v1/destinations/{destination_id}/compare": {"template": "{}"},
    "POST /v1/destinations/{destination_id}/preview": {"event": {"event_name": "openapi"}},
    "POST /v1/destinations/{destination_id}/test": {"event": {"event_name": "openapi"}},
    "POST /v1/destinations/{destination_id}/rotate-secret": {"overlap": "1h"},
    "POST /v1/destinations/{destination_id}/suppressions": {"reason": "r"},
    "PATCH /v1/destinations/{destination_id}": {"retry": {"attempts": 0}, "filter": {"event_name": ["openapi"]}},
    "POST /v1/dead-letters/replay": {"dry_run": True},
    "POST /v1/dead-letters/discard": {"cause": "none", "reason": "r"},
    "POST /v1/dead-letters/{delivery_id}/replay": {"mode": "as_sent"},
    "POST /v1/dead-letters/{delivery_id}/discard": {"reason": "r"},
    "PUT /v1/secrets/{name}": {"value": "another-value"},
    "PUT /v1/audiences/{name}": {"static": True},
    "POST /v1/audiences/{name}/members": {"add": [{"external_id": "u_1"}], "remove": [{"email": "a@b.example"}]},
    "POST /v1/audiences/{name}/test": {"user": {"external_id": "u_1"}},
    "PUT /v1/workspace": {"rules": {"default_region": "DE", "event_names": {"Paid": "purchase"}}},
    "POST /v1/api-keys": {"name": "k", "scopes": ["admin"]},
    "POST /v1/sources": {"type": "segment", "name": "s", "settings": {"platform": "web"}},
    "PATCH /v1/sources/{source_id}": {"name": "kept too"},
    "POST /v1/sources/{source_id}/rotate-key": {"secret": "another-secret"},
}


def test_every_call_answers_for_what_exists_as_the_document_says(
    generated: Any, document: dict[str, Any], other: ServerProcess, standing: dict[str, Any]
) -> None:
    calls = [(path, method) for path, methods in document["paths"].items() for method in methods]
    for path, method in sorted(calls, key=lambda call: call[1] == "delete"):  # deleting comes last
        name = f"{method.upper()} {path}"
        values = standing | {
            "delivery_id": standing["delivery_ids"]["discard" in path],
            "rejected_id": standing["rejected_ids"]["reingest" in path],
        }
        if name == "DELETE /v1/destinations/{destination_id}":
            values["destination_id"] = standing["spare"]
        body = standing["draft"] if name in _DRAFTED else BODIES.get(name)
        sent = {} if body is None else {"body": body, "media_type": "application/json"}
        places = {part["name"]: values[part["name"]] for part in _path_parameters(document["paths"][path][method])}
        case = generated[path][method].Case(path_parameters=places, **sent)
        response = case.call(headers={"Authorization": f"Bearer {other.key}"})
        assert response.status_code < 300, (name, response.status_code, response.text)
        case.validate_response(response, checks=CHECKS)


_DRAFTED = ("POST /v1/destinations", "PUT /v1/destinations/{destination_id}")


def _path_parameters(operation: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in operation.get("parameters", []) if each["in"] == "path"]


def test_whatever_the_document_allows_is_answered_as_it_says_and_never_with_a_fault(
    generated: Any, other: ServerProcess, standing: dict[str, Any]
) -> None:
    existing = standing | {"delivery_id": standing["delivery_ids"][2], "rejected_id": standing["rejected_ids"][0]}
    headers = {"Authorization": f"Bearer {other.key}"}
    for found in generated.get_all_operations():

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=found.ok().as_strategy(), exists=st.booleans())
        def answers_as_it_says(case: Any, exists: bool) -> None:
            if exists and case.method != "DELETE":
                case.path_parameters = {name: existing[name] for name in case.path_parameters}
            case.call_and_validate(headers=headers, checks=CHECKS)

        answers_as_it_says()


def test_an_error_is_what_the_document_says_an_error_is(api: Api, document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Problem"]
    body = problem(api.post("/v1/destinations", {"name": 1}), 422, "wrong_type", pointer="/name")
    assert body.keys() <= schema["properties"].keys()
    assert body.keys() >= set(schema["required"])
