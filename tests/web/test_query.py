"""What stands in a query is read, or refused: a typing mistake must not save, or answer with everything."""

from __future__ import annotations

from typing import Any

import pytest

from tests.harness import Api
from tests.web.expect import ok, problem
from tests.web.site import Site


def test_a_mistyped_dry_run_saves_nothing(api: Api, site: Site) -> None:
    answer = api.call("POST", "/v1/destinations?dryrun=true", site.draft())
    problem(answer, 400, "unknown_parameter", pointer="/dryrun", says="did you mean dry_run?")
    assert site.name not in {each["name"] for each in ok(api.get("/v1/destinations?limit=200"))["data"]}


@pytest.mark.parametrize(
    "path, name",
    [
        ("/v1/dead-letters?state=dead", "state"),
        ("/v1/events?from=2026-01-01", "from"),
        ("/v1/deliveries?foo=1&state=dead", "foo"),
        ("/v1/destinations/none?limit=1", "limit"),
        ("/v1/audit?" + "n" * 300 + "=1", "n" * 100),
    ],
)
def test_a_parameter_that_no_call_knows_is_named(api: Api, path: str, name: str) -> None:
    problem(api.get(path), 400, "unknown_parameter", pointer=f"/{name}")


def test_who_watches_may_add_what_it_likes(api: Api) -> None:
    assert [api.get(f"{path}?t=1").status for path in ("/healthz", "/readyz", "/metrics")] == [200, 200, 200]


@pytest.mark.parametrize("query", ["limit=1&limit=2", "state=delivered&state=dead"])
def test_a_parameter_that_comes_twice_is_refused(api: Api, query: str) -> None:
    name = query.partition("=")[0]
    problem(api.get(f"/v1/deliveries?{query}"), 400, "duplicate_parameter", pointer=f"/{name}")


@pytest.mark.parametrize("path", ["secrets", "api-keys", "audiences", "sources", "replays", "presets", "people"])
def test_every_list_takes_a_limit(api: Api, path: str) -> None:
    answer: dict[str, Any] = ok(api.get(f"/v1/{path}?limit=200"))
    assert answer.keys() >= {"data", "next_cursor"}


def test_a_dry_run_obeys_if_match(api: Api, site: Site) -> None:
    made = site.create()
    for method, body in (("PATCH", {"on_missing": "null"}), ("PUT", site.draft())):
        path = f"/v1/destinations/{made['id']}?dry_run=true"
        problem(api.call(method, path, body, headers={"If-Match": '"99"'}), 412, "version_mismatch")
        ok(api.call(method, path, body, headers={"If-Match": '"1"'}))
