"""Destinations to start from, one JSON file each: what a receiver expects, its success rule and its pace."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import msgspec


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A destination to start from. `secrets` names what has to be set before it is used, and what each one is."""

    name: str
    title: str
    description: str
    secrets: dict[str, str]
    destination: dict[str, Any]


def presets() -> list[Preset]:
    """Every preset, by name."""
    files = (file for file in resources.files(__name__).iterdir() if file.name.endswith(".json"))
    return sorted(
        (Preset(name=file.name.removesuffix(".json"), **json.loads(file.read_text("utf-8"))) for file in files),
        key=lambda preset: preset.name,
    )
