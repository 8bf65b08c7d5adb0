"""The two ingest calls in the OpenAPI document, written from the same structs that `ingest_app` answers with."""

from __future__ import annotations

from typing import Any

import msgspec

from tracklayer.web.ingest_app import BatchAnswer, EventAnswer

_REF = "#/components/schemas/{name}"
_EVENT: dict[str, Any] = {
    "type": "object",
    "required": ["event_name"],
    "description": "An event as docs/event.md describes it; fields that are not known are kept under context.extra.",
    "properties": {
        "event_id": {"type": "string", "description": "The idempotency key; absent: one is made."},
        "event_name": {"type": "string", "minLength": 1, "maxLength": 200},
        "occurred_at": {"type": "string", "format": "date-time"},
        "platform": {"type": ["string", "null"]},
        "segment": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "user_data": {"type": "object"},
        "properties": {"type": "object"},
        "context": {"type": "object"},
        "consent": {"type": "object"},
    },
    "additionalProperties": True,
}
_BATCH: dict[str, Any] = {
    "type": "object",
    "required": ["events"],
    "properties": {"events": {"type": "array", "items": {"type": "object"}, "maxItems": 500}},
    "additionalProperties": False,
}


def _operation(status: int, body: dict[str, Any], answer: type[msgspec.Struct], summary: str) -> dict[str, Any]:
    name = answer.__name__
    schema = {"$ref": _REF.format(name=name)}
    return {
        "tags": ["events"],
        "operationId": f"accept{name.removesuffix('Answer')}",
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {str(status): {"description": "Durable.", "content": {"application/json": {"schema": schema}}}},
    }


EVENT_CALLS: dict[str, dict[str, Any]] = {
    "/v1/events": {"post": _operation(200, _EVENT, EventAnswer, "Take one event in; answered once it is durable.")},
    "/v1/events/batch": {
        "post": _operation(202, _BATCH, BatchAnswer, "Take up to 500 events in; see each item's own status.")
    },
}
"""Path → method → operation."""

SCHEMAS: dict[str, Any] = msgspec.json.schema_components((EventAnswer, BatchAnswer), ref_template=_REF)[1]
"""What they answer."""
