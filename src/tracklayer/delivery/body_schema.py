"""A receiver's contract: the JSON Schema (2020-12) that every rendered body must meet before it is sent."""

from __future__ import annotations

from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator, ReferencingError, RegexOptions, ValidationError, meta

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Json, decode_json, encode_json

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LARGEST = 64 * 1024  # bytes of a schema as JSON
MOST_PARTS = 10_000  # of a schema with every `$ref` written out: what one check of a body may cost


class BodySchema:
    """A schema, compiled.

    Nothing is fetched (a `$ref` reaches only into the schema itself), and patterns run in linear time.
    """

    def __init__(self, schema: dict[str, Json]) -> None:
        """Raises `Invalid` with a pointer into the schema."""
        _check_size(schema)
        dialect = schema.get("$schema", DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
            raise Invalid(f"$schema is {dialect!r}, expected {DIALECT}", code="invalid_schema", pointer="/$schema")
        try:
            meta.validate(schema)
            self._validator = Draft202012Validator(
                schema, offline=True, pattern_options=RegexOptions(), mask="the value", validate_formats=True
            )
        except (ValidationError, ReferencingError, ValueError) as error:
            raise _refused(error) from error

    def violation(self, body: bytes) -> str | None:
        """What of a JSON body breaks the contract, with the place as a JSON pointer; None where nothing does."""
        try:
            self._validator.validate(decode_json(body))
        except ValidationError as error:
            place = pointer(*error.instance_path) or "the whole body"
            return f"the rendered body breaks body_schema at {place}: {error.message}"
        except (msgspec.DecodeError, RecursionError, ArithmeticError, ValueError) as error:
            return f"the rendered body cannot be checked against body_schema: {error}"
        return None


def _check_size(schema: dict[str, Json]) -> None:
    """Refuse what would take too long: a few lines of `$ref` can stand for more parts than there are atoms."""
    try:
        size = len(encode_json(schema))
        parts = _parts(schema, schema, {})
    except RecursionError:
        raise Invalid("the schema is nested too deeply", code="invalid_schema", pointer="") from None
    if size > LARGEST:
        raise Invalid(f"the schema has {size} bytes: expected at most {LARGEST}", code="invalid_schema", pointer="")
    if parts > MOST_PARTS:
        detail = f"with every $ref written out the schema has over {MOST_PARTS} parts"
        raise Invalid(detail, code="invalid_schema", pointer="")


def _parts(schema: Json, part: Json, known: dict[str, int]) -> int:
    """How many objects and lists `part` has with its references written out; one that leads back to itself ends."""
    total = 1
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        if name != "$defs":
            total += _parts(schema, value, known) if isinstance(value, dict | list) else 0
        if name == "$ref" and isinstance(value, str):
            if value not in known:
                known[value] = 1
                known[value] = _parts(schema, _target(schema, value), known)
            total += known[value]
    return total


def _target(schema: Json, reference: str) -> Json:
    """What `#/…` names; null where it is named otherwise, or is not there."""
    found = schema
    for step in reference.removeprefix("#").split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _refused(error: Exception) -> Invalid:
    place: list[Any] = list(error.instance_path) if isinstance(error, ValidationError) else []
    message = error.message if isinstance(error, ValidationError) else str(error).partition("\n")[0]
    return Invalid(f"this is not a JSON Schema: {message}", code="invalid_schema", pointer=pointer(*place))
