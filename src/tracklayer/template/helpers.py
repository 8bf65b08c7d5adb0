"""Every helper by its name. Templates reach these functions and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tracklayer.template.helper import FLAG, SOMETHING, Helper
from tracklayer.template.helpers_identity import IDENTITY_HELPERS
from tracklayer.template.helpers_list import LIST_HELPERS
from tracklayer.template.helpers_logic import LOGIC_HELPERS
from tracklayer.template.helpers_number import NUMBER_HELPERS
from tracklayer.template.helpers_text import TEXT_HELPERS
from tracklayer.template.helpers_time import TIME_HELPERS
from tracklayer.template.values import json_text


def _json(value: object, *, pretty: bool = False) -> str:
    """The value as JSON text. In a JSON body, at a value, it goes in as it is."""
    return json_text(value, 2 if pretty else 0)


JSON_HELPER = Helper("json", _json, (SOMETHING,), options={"pretty": FLAG})

HELPERS: Mapping[str, Helper] = MappingProxyType(
    {
        helper.name: helper
        for helper in (
            JSON_HELPER,
            *LOGIC_HELPERS,
            *TEXT_HELPERS,
            *LIST_HELPERS,
            *NUMBER_HELPERS,
            *TIME_HELPERS,
            *IDENTITY_HELPERS,
        )
    }
)
