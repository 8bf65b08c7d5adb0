"""How a receiver checks our signatures: a function to copy, in the language of the receiver. Data: `verification/`."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Literal, get_args

from tracklayer.delivery.sign import Scheme

Language = Literal["python", "node", "go", "php"]

_PLACEHOLDER = "SIGNING_SECRET_VARIABLE"


def snippets(scheme: Scheme, destination_name: str | None = None) -> dict[Language, str]:
    """The function for each language, that says whether a request is from us and whole.

    It reads the secret from an environment variable, compares in constant time over the raw body, accepts what either
    secret has signed while one is being rotated, and, where the scheme signs the time, nothing older than five minutes.
    """
    folder = files("tracklayer.operate") / "verification"
    variable = secret_variable(destination_name)
    languages: tuple[Language, ...] = get_args(Language)
    return {
        language: (folder / f"{scheme}.{language}.txt").read_text(encoding="utf-8").replace(_PLACEHOLDER, variable)
        for language in languages
    }


def secret_variable(destination_name: str | None) -> str:
    """The environment variable of a destination's signing secret: `TRACKLAYER_SECRET_ORDERS_API` for "Orders API"."""
    name = re.sub(r"[^A-Z0-9]+", "_", (destination_name or "").upper())[:60].strip("_")
    return f"TRACKLAYER_SECRET_{name}" if name else "TRACKLAYER_SECRET"
