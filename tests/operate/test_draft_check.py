"""A draft's problems: all of them at once, each at its place, and none that a save would not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.virtual_time import in_virtual_time
from tests.world import World, running
from tracklayer.errors import Invalid, NotFound
from tracklayer.model.event import decode_json, encode_json
from tracklayer.operate.draft import read_draft
from tracklayer.operate.draft_check import MOST_PIECES, MOST_PROBLEMS, FieldProblem

GOOD: dict[str, Any] = {
    "name": "internal-collector",
    "type": "http",
    "transport": {
        "url": "https://hooks.internal.example.com/tracklayer/events",
        "method": "POST",
        "headers": {"Authorization": "Bearer {{secrets.webhook_token}}", "X-Environment": "production"},
        "timeout": "10s",
    },
    "signing": {"secret": "dest_live_9f3b27"},
    "filter": {"event_name": ["purchase", "refund_requested"], "platform": ["shopify"]},
    "template": '{ "type": "{{event_name}}" }',
    "body_schema": {"type": "object"},
    "retry": {"attempts": 5, "backoff": "2s, 10s, 30s, 2m, 10m", "statuses": {"409": "retry"}},
    "success": {"body_contains": "ok"},
    "rate_limit": {"events_per_second": 25},
    "consent": {"requires": ["ad_storage"], "when_unknown": "deny"},
    "status": "draft",
}


def problems(world: World, draft: dict[str, Any], standing_id: str | None = None) -> list[FieldProblem]:
    exact = decode_json(encode_json(draft))
    return world.service.rehearsals.checks(world.workspace_id, exact, standing_id=standing_id)


def places(world: World, draft: dict[str, Any], standing_id: str | None = None) -> list[str]:
    return [problem.pointer for problem in problems(world, draft, standing_id)]


async def save(world: World, draft: dict[str, Any]) -> None:
    read = read_draft(encode_json(draft))
    await world.service.destinations.create(world.workspace_id, read, author="test")


@in_virtual_time
async def test_the_guides_destination_has_no_problem(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        assert problems(world, GOOD) == []


@in_virtual_time
async def test_an_empty_draft_lacks_a_name_and_a_transport(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        assert [(each.pointer, each.code) for each in problems(world, {})] == [
            ("/name", "missing_field"),
            ("/transport", "missing_field"),
        ]
        assert places(world, {"name": "", "transport": {}}) == ["/name", "/transport/url"]


@in_virtual_time
async def test_every_problem_of_every_part_is_told_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        draft = {
            "name": " ",
            "transport": {
                "url": "ftp://receiver.test",
                "method": "PUSH",
                "headers": {"Host": "x", "X Y": "1", "X-Bad": "{{", "X-Good": "1", "x-good": "2"},
                "timeout": "soon",
                "connect_timeout": "9h",
                "colour": "red",
            },
            "signing": {"secret": ""},
            "filter": {"event_nam": ["purchase"], "properties.value": {"$gt": "x", "$near": 1}, "platform": "web"},
            "template": '{\n  "a": {{#if x}}1\n}',
            "body_schema": {"type": "objekt"},
            "retry": {"attempts": -1, "backoff": ["2s", "x"], "jitter": 7, "statuses": {"99": "dead", "5xx": "retry"}},
            "success": {"body_contains": "", "body_equals": 3},
            "rate_limit": {"burst": 3},
            "consent": {"requires": "ad_storage"},
            "staus": "draft",
        }
        assert sorted(places(world, draft)) == sorted(
            [
                "/name",
                *("/transport/url", "/transport/method", "/transport/timeout", "/transport/connect_timeout"),
                *("/transport/headers/Host", "/transport/headers/X Y", "/transport/headers/X-Bad"),
                *("/transport/colour",),
                "/signing/secret",
                *("/filter/event_nam", "/filter/properties.value/$near"),
                "/template",
                "/body_schema/type",
                *("/retry/attempts", "/retry/backoff/1", "/retry/jitter", "/retry/statuses/99"),
                *("/success/body_contains", "/success/body_equals"),
                "/rate_limit/burst",
                "/consent/requires",
                "/staus",
            ]
        )


@in_virtual_time
async def test_two_headers_of_one_name_are_told(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        headers = {"X-One": "{{", "X-Same": "1", "x-same": "2"}
        draft = GOOD | {"transport": GOOD["transport"] | {"headers": headers}}
        assert places(world, draft) == ["/transport/headers/X-One", "/transport/headers/x-same"]


@in_virtual_time
@pytest.mark.parametrize("field", ["template", "url", "header"])
async def test_a_templates_problem_has_its_line_its_column_and_a_caret(tmp_path: Path, field: str) -> None:
    async with running(tmp_path) as world:
        broken = '{"a": 1,\n "b": {{nope x}}}' if field == "template" else "https://a.test/{{nope x}}"
        line, column = (2, 9) if field == "template" else (1, 18)
        draft: dict[str, Any] = {
            "template": GOOD | {"template": broken},
            "url": GOOD | {"transport": {"url": broken}},
            "header": GOOD | {"transport": GOOD["transport"] | {"headers": {"X": broken}}},
        }[field]
        (problem,) = problems(world, draft)
        place = {"template": "/template", "url": "/transport/url", "header": "/transport/headers/X"}[field]
        assert (problem.pointer, problem.line, problem.column) == (place, line, column)
        assert problem.code == "invalid_template"
        assert "nope" in problem.detail
        assert problem.excerpt == f"{broken.splitlines()[-1]}\n{' ' * (column - 1)}^"
        assert problem.excerpt not in problem.detail


@in_virtual_time
async def test_a_template_is_read_for_the_type_of_body_that_the_headers_say(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        text = "{{event_name}}: {{#if user_data}}x{{/if}}{"
        draft = GOOD | {"template": text, "body_schema": None}
        plain = {"Content-Type": "text/plain"}
        assert places(world, draft | {"transport": {"url": "https://a.test", "headers": plain}}) == []
        assert places(world, GOOD | {"transport": {"url": "https://a.test", "headers": plain}}) == ["/body_schema"]


@in_virtual_time
async def test_a_template_is_looked_at_although_what_decides_how_it_is_read_is_wrong(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        draft = GOOD | {
            "template": "{{",
            "on_missing": "explode",
            "transport": {"url": "https://a.test", "headers": {"Content-Type": "\n"}},
        }
        assert set(places(world, draft)) == {"/template", "/on_missing", "/transport/headers/Content-Type"}


@in_virtual_time
async def test_what_is_good_alone_and_bad_together_is_told_last(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        month = {"attempts": 40, "backoff": "1d"}
        assert places(world, GOOD | {"retry": month}) == ["/retry/backoff"]
        assert places(world, GOOD | {"retry": {"backoff": "7d"}}) == ["/retry/backoff"]
        assert places(world, GOOD | {"retry": {"attempts": 1, "backoff": "20d"}}) == []


@in_virtual_time
async def test_the_standing_signing_secret_counts(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        made = await world.destination("d", signing={"secret": "dest_live_9f3b27"})
        keeps = GOOD | {"signing": {"enabled": True}}
        assert places(world, keeps) == ["/signing/secret"]
        assert places(world, keeps, made) == []
        assert places(world, GOOD | {"signing": {"scheme": "standard-webhooks"}}, made) == ["/signing/secret"]
        with pytest.raises(NotFound):
            problems(world, GOOD, "dst_none")


@in_virtual_time
async def test_a_draft_without_end_does_not_take_without_end(tmp_path: Path) -> None:
    async with running(tmp_path) as world:
        unknown = {f"field_{number}": number for number in range(5_000)}
        assert len(problems(world, unknown)) == MOST_PROBLEMS
        many = {f"properties.p{number}": {"$near": 1} for number in range(MOST_PIECES + 1)}
        assert places(world, GOOD | {"filter": many}) == ["/filter"]
        deep: dict[str, Any] = {}
        for _ in range(300):
            deep = {"$not": deep}
        assert places(world, GOOD | {"filter": deep}) != []


@in_virtual_time
@pytest.mark.parametrize(
    "broken",
    [
        {"transport": {"url": "https://a.test/ "}},
        {"template": "{{#each}}"},
        {"body_schema": {"$ref": "https://elsewhere.test"}},
        {"retry": {"backoff": ""}},
        {"rate_limit": {"profile": "chatops", "events_per_second": 3}},
        {"success": {"json": {"": 1}}},
        {"filter": {"$or": []}},
        {"name": "n" * 201},
        {"consent": None, "signing": {"secret": None}},
        {"transport": "https://a.test"},
    ],
)
async def test_it_says_what_a_save_would_say(tmp_path: Path, broken: dict[str, Any]) -> None:
    async with running(tmp_path) as world:
        (problem,) = problems(world, GOOD | broken)
        with pytest.raises(Invalid) as refused:
            await save(world, GOOD | broken)
        assert (problem.pointer, problem.code) == (refused.value.pointer, refused.value.code)
        assert problem.detail in refused.value.detail
