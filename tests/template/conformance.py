"""The conformance cases of conformance.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).with_name("conformance.yaml")


def cases() -> list[dict[str, Any]]:
    """Every case, with the `construct` that it belongs to."""
    groups = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return [{"construct": construct, **case} for construct, group in groups.items() for case in group]


def shared() -> list[dict[str, Any]]:
    """The cases in which Handlebars.js gives the same text."""
    return [case for case in cases() if "text" in case and "differs" not in case and "escape" not in case]
