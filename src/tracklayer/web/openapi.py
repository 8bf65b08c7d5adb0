"""The OpenAPI document (3.1): what the framework reads from the handlers, made true where it cannot know better.

It knows nothing of the ingest calls, which are no handlers of its own; takes a union for `oneOf`, so that 25 is neither
an integer nor a number; forgets that unknown fields are refused; and documents errors that are not ours.
"""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar
from litestar.routes import HTTPRoute

from tracklayer.web.ingest_openapi import EVENT_CALLS, SCHEMAS
from tracklayer.web.problems import MEDIA_TYPE

_REF = "#/components/schemas/{name}"
_REFUSED = {"$ref": "#/components/responses/Refused"}
_UNAVAILABLE = {"$ref": "#/components/responses/Unavailable"}
_PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "A stable word for programs."},
        "detail": {"type": "string", "description": "A sentence for people."},
        "pointer": {"type": "string", "description": "The JSON pointer (RFC 6901) to the field at fault."},
    },
}


def openapi_document(app: Litestar) -> dict[str, Any]:
    """The whole document, as JSON values."""
    made: dict[str, Any] = _with_any_of(app.openapi_schema.to_schema())
    paths: dict[str, Any] = made["paths"]
    for path, calls in EVENT_CALLS.items():
        paths[path] = {**paths.get(path, {}), **calls}
    for calls in paths.values():
        for operation in calls.values():
            _correct(operation)
    components = made["components"]
    components["schemas"] |= {**SCHEMAS, **_request_schemas(app), "Problem": _PROBLEM}
    components["responses"] = {
        "Refused": _problem_response("The request is at fault; `code` and `pointer` say how and where."),
        "Unavailable": _problem_response(
            "Nothing was taken; the same request may succeed after `Retry-After` seconds."
        ),
    }
    return made


def _request_schemas(app: Litestar) -> dict[str, Any]:
    """The schemas of every body that a handler takes, and of what they are made of; unknown fields are refused."""
    handlers = [handler for route in app.routes if isinstance(route, HTTPRoute) for handler in route.route_handlers]
    bodies = [handler.parsed_data_field.annotation for handler in handlers if handler.parsed_data_field is not None]
    return msgspec.json.schema_components(bodies, ref_template=_REF)[1]


def _correct(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("400", None)  # the framework's own shape, which never goes out
    responses.update({"4XX": _REFUSED, "503": _UNAVAILABLE})
    if operation["tags"] == ["system"]:
        operation["security"] = []
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _not_null(parameter["schema"])
    body = operation.get("requestBody")
    if body is not None:
        content = body["content"]["application/json"]
        required = _not_null(content["schema"])
        body["required"] = required == content["schema"]
        content["schema"] = required


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` without the alternative null, which for a parameter or a body means that it is absent."""
    kinds = [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **kinds[0]}


def _with_any_of(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_any_of(each) for each in value]
    if isinstance(value, dict):
        return {"anyOf" if name == "oneOf" else name: _with_any_of(each) for name, each in value.items()}
    return value


def _problem_response(description: str) -> dict[str, Any]:
    return {"description": description, "content": {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}}
