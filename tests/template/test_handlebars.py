"""Where Handlebars.js gives a result, ours is the same (docs/templates.md lists where it is not, and why)."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.template import conformance, generate, handlebars
from tracklayer.template import Escape, compile_template

_MISSING = handlebars.missing()

pytestmark = pytest.mark.skipif(_MISSING is not None, reason=_MISSING or "")


@pytest.fixture(scope="module")
def oracle() -> Iterator[handlebars.Handlebars]:
    oracle = handlebars.Handlebars()
    yield oracle
    oracle.close()


@given(seed=generate.SEEDS)
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
def test_generated_templates_render_as_in_handlebars(oracle: handlebars.Handlebars, seed: int) -> None:
    rng = Random(seed)
    template = generate.Handlebars(rng).template()
    data = generate.PlainData(rng).mapping()
    theirs = oracle.render(template, data)
    if "error" in theirs:
        return  # we accept more, such as {{a.0}}
    assert compile_template(template, escape=Escape.TEXT).render(data).text == theirs["text"]


@pytest.mark.parametrize("case", conformance.shared(), ids=lambda case: str(case["template"]))
def test_the_conformance_cases_are_what_handlebars_does(oracle: handlebars.Handlebars, case: dict[str, Any]) -> None:
    assert oracle.render(case["template"], case.get("data", {})) == {"text": case["text"]}
