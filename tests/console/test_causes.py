"""Every cause has a meaning, and a next step."""

from __future__ import annotations

from typing import get_args

import pytest

from tracklayer.model.delivery import FailureKind
from tracklayer.web.console.causes import field_to_change, meaning, mends_of, ways


@pytest.mark.parametrize("cause", [*get_args(FailureKind), "success_rule", "unknown", *map(str, range(300, 600))])
def test_no_cause_is_a_dead_end(cause: str) -> None:
    found = meaning(cause)
    assert found.sentence.endswith(".")
    assert found.mends


def test_a_refused_token_leads_to_the_secrets_and_a_failing_receiver_to_patience() -> None:
    assert meaning("401").mends[0] == "secret"
    assert meaning("503").mends[0] == "wait"
    assert meaning("render").mends == ("template", "transport")


def test_a_secret_that_is_not_there_is_made_and_no_template_edited() -> None:
    error = "the header Authorization, line 1, column 10: there is no secret 'webhook_token' in this workspace"
    assert mends_of("render", error) == ("secret", "transport")
    assert mends_of("render", "line 3, column 16: properties.reason is missing in this event")[0] == "template"
    assert mends_of("401", None)[0] == "secret"


@pytest.mark.parametrize(
    "cause,field",
    [("401", "headers"), ("404", "url"), ("405", "method"), ("422", "template"), ("429", "rate"), ("503", ""),
     ("timeout", "timeout"), ("connect", "url"), ("success_rule", "body_equals")],
)  # fmt: skip
def test_a_failed_test_leads_to_the_field_to_change(cause: str, field: str) -> None:
    assert field_to_change(cause) == field


def test_the_ways_open_the_editor_with_the_event_and_lead_back() -> None:
    found = ways("dst_1", meaning("401").mends, event_id="a/b", back="/deliveries/dlv_1")
    assert [(way.text, way.path) for way in found] == [
        ("Change the secret", "/settings/secrets?return=%2Fdeliveries%2Fdlv_1"),
        (
            "Edit the transport",
            "/settings/destinations/dst_1/edit?event=a%2Fb&return=%2Fdeliveries%2Fdlv_1#transport",
        ),
    ]
    assert ways("dst_1", ("wait",), event_id=None, back="/") == []
