"""A configuration as a form and back."""

from __future__ import annotations

import pytest

from tracklayer.model.destination import (
    Consent,
    DestinationConfig,
    RateLimit,
    Retry,
    Signing,
    Success,
    Transport,
)
from tracklayer.model.event import decode_json, encode_json
from tracklayer.operate.draft import draft_config, read_draft
from tracklayer.operate.draft_check import FieldProblem
from tracklayer.presets import Preset, presets
from tracklayer.web.console.pages.editor_form import STEPS, placed, posted, read, step_of, values_of

RICH = DestinationConfig(
    name="rich",
    transport=Transport(
        url="https://receiver.test/{{event_id}}",
        method="PATCH",
        headers={"A": "1", "B": "{{secrets.b}}"},
        timeout=2.5,
        connect_timeout="1s",
        read_timeout="500ms",
    ),
    signing=Signing(scheme="standard-webhooks"),
    filter={"event_name": ["a", "b"], "$not": {"platform": "web"}},
    template='{"a": 1}\n',
    on_missing="fail",
    body_schema={"type": "object"},
    retry=Retry(attempts=0, backoff=["1s", 90], jitter=0.125, statuses={"409": "retry", "5xx": "dead"}),
    success=Success(body_contains="ok", json={"code": 0}, otherwise="retry"),
    rate_limit=RateLimit(events_per_second=0.5, burst=3),
    consent=Consent(requires=["ad_storage"], when_unknown="allow"),
)


def again(config: DestinationConfig, standing: DestinationConfig | None) -> DestinationConfig:
    """What the form of a configuration says."""
    form = read(values_of(config), standing)
    assert form.problems == {}
    return draft_config(read_draft(encode_json(form.draft)), signed=config.signing is not None)


def test_a_configuration_survives_its_form_to_the_letter() -> None:
    config = decode_config(RICH)
    assert again(config, config) == config


def test_without_a_standing_one_the_form_means_the_same() -> None:
    found = again(RICH, None)
    assert (found.filter, found.success, found.rate_limit) == (RICH.filter, RICH.success, RICH.rate_limit)
    assert found.retry.backoff == "1s, 90s"
    assert found.transport.timeout == "2.5s"


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_every_preset_survives_its_form(preset: Preset) -> None:
    config = draft_config(read_draft(encode_json(preset.destination)), signed=False)
    assert again(config, None) == config


def test_every_field_is_in_one_step_and_the_browsers_line_ends_become_ours() -> None:
    values = posted({"template": "a\r\nb", "url": "u"})
    assert values["template"] == "a\nb"
    assert values.keys() == values_of(RICH).keys()
    assert {step_of(field) for field in values} == set(STEPS)


@pytest.mark.parametrize(
    "pointer, field",
    [
        ("/transport/url", "url"),
        ("/transport/unknown", "url"),
        ("/transport/headers", "headers"),
        ("/signing/scheme", "scheme"),
        ("/signing/secret", "signing_secret"),
        ("/filter/properties.value/$gte", "filter"),
        ("/retry/backoff/2", "backoff"),
        ("/retry/statuses/409", "retried"),
        ("/retry/statuses/5xx", "dead"),
        ("/success/json/code", "success_json"),
        ("/success/body_equals", "body_equals"),
        ("/rate_limit/burst", "burst"),
        ("/rate_limit/profile", "events_per_second"),
        ("/consent/requires/0", "consent_requires"),
        ("", "name"),
    ],
)
def test_a_place_in_the_draft_is_a_field_of_the_form(pointer: str, field: str) -> None:
    problem = FieldProblem(pointer=pointer, detail="d", code="c")
    assert placed(problem, values_of(RICH))[0] == field


def test_a_header_is_found_in_its_json() -> None:
    problem = FieldProblem(pointer="/transport/headers/B", detail="bad", code="c")
    field, found = placed(problem, values_of(RICH))
    assert (field, found.text, found.line) == ("headers", "B: bad", 3)


def decode_config(config: DestinationConfig) -> DestinationConfig:
    """As it comes from the store: exact decimals."""
    draft = decode_json(encode_json(config))
    draft["signing"] = {"scheme": "standard-webhooks", "secret": "x"}
    return draft_config(read_draft(encode_json(draft)), signed=True)


@pytest.mark.parametrize("jitter", ["200", "-1", "1e9"])
def test_a_jitter_that_is_none_is_told_in_percent_as_it_was_typed(jitter: str) -> None:
    problem = read(values_of(RICH) | {"jitter": jitter}, None).problems["jitter"].text
    assert problem.endswith("% is no jitter: expected 0 to 100 % of the wait.")
