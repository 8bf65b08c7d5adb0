"""Where in a form an error belongs."""

from __future__ import annotations

from tracklayer.errors import TrackLayerError
from tracklayer.web.console.words import sentence


def problems_of(error: TrackLayerError | None) -> dict[str, str]:
    """The field at fault → what to say there; under "" what belongs to no field."""
    if error is None:
        return {}
    return {(error.pointer or "").strip("/").partition("/")[0]: sentence(error.detail)}
