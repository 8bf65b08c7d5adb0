"""Segment as the upstream collector: what its "Webhooks (Actions)" destination sends, one call a request.

The call was taken in by Segment, which has put its time right already: so `timestamp` counts, and when the user's
device sent it says nothing about now. https://segment.com/docs/connections/destinations/catalog/actions-webhook/
"""

from __future__ import annotations

from tracklayer.errors import Invalid
from tracklayer.model.event import Json
from tracklayer.sources.segment import SegmentSettings, map_call

SIGNATURE = "x-signature"
_BY_DEVICE = ("sentAt", "originalTimestamp")


def map_webhook(call: Json, settings: SegmentSettings) -> dict[str, Json]:
    """One call as fields of the native API. Raises `Invalid`, its pointer into `call`."""
    if isinstance(call, list):
        raise Invalid(
            "the body is a list of calls, of which Segment signs the first only: switch batching off at Segment",
            code="batch_not_signed",
            pointer="",
        )
    if isinstance(call, dict) and call.get("timestamp") is not None:
        call = {name: value for name, value in call.items() if name not in _BY_DEVICE}
    fields = map_call(call, settings)
    fields.pop("sent_at", None)
    return fields
