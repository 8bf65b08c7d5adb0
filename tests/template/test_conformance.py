"""The language, construct by construct (conformance.yaml)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.template import conformance
from tracklayer.template import Escape, TemplateError, compile_template


@pytest.mark.parametrize("case", conformance.cases(), ids=lambda case: f"{case['construct']}: {case['template']}")
def test_case(case: dict[str, Any]) -> None:
    escape = Escape(case.get("escape", "text"))
    data = json.loads(json.dumps(case.get("data", {})), parse_float=Decimal)
    if "error" in case:
        with pytest.raises(TemplateError) as caught:
            compile_template(case["template"], escape=escape)
        assert case["error"] in caught.value.detail
        assert caught.value.code == "invalid_template"
    else:
        assert compile_template(case["template"], escape=escape).render(data).text == case["text"]
