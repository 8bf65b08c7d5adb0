"""Every cause has a meaning, and a next step."""

from __future__ import annotations

from typing import get_args

import pytest

from tracklayer.model.delivery import FailureKind
from tracklayer.web.console.causes import meaning


@pytest.mark.parametrize("cause", [*get_args(FailureKind), "success_rule", "unknown", *map(str, range(300, 600))])
def test_no_cause_is_a_dead_end(cause: str) -> None:
    found = meaning(cause)
    assert found.sentence.endswith(".")
    assert found.mends


def test_a_refused_token_leads_to_the_secrets_and_a_failing_receiver_to_patience() -> None:
    assert meaning("401").mends[0] == "secret"
    assert meaning("503").mends[0] == "wait"
    assert meaning("render").mends == ("template",)
