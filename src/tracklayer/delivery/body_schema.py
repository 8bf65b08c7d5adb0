"""A receiver's contract: the JSON Schema (2020-12) that every rendered body must meet before it is sent."""

from __future__ import annotations

from typing import Any

from jsonschema_rs import Draft202012Validator, RegexOptions, ValidationError, meta

from tracklayer.errors import Invalid, pointer
from tracklayer.model.event import Json, decode_json, encode_json

DIALECT = "https://json-schema.org/draft/2020-12/schema"
LARGEST = 64 * 1024  # bytes of a schema as JSON


class BodySchema:
    """A schema, compiled.

    Nothing is fetched (a `$ref` reaches only into the schema itself), and patterns run in linear time.
    """

    def __init__(self, schema: dict[str, Json]) -> None:
        """Raises `Invalid` with a pointer into the schema."""
        if len(encode_json(schema)) > LARGEST:
            raise Invalid(f"the schema is over {LARGEST} bytes", code="invalid_schema", pointer="")
        dialect = schema.get("$schema", DIALECT)
        if not isinstance(dialect, str) or dialect.rstrip("#") != DIALECT:
            raise Invalid(f"$schema is {dialect!r}, expected {DIALECT}", code="invalid_schema", pointer="/$schema")
        try:
            meta.validate(schema)
            self._validator = Draft202012Validator(
                schema, offline=True, pattern_options=RegexOptions(), mask="the value", validate_formats=True
            )
        except (ValidationError, ValueError) as error:
            raise _refused(error) from error

    def violation(self, body: bytes) -> str | None:
        """What of a JSON body breaks the contract, with the place as a JSON pointer; None where nothing does."""
        try:
            self._validator.validate(decode_json(body))
        except ValidationError as error:
            place = pointer(*error.instance_path) or "the whole body"
            return f"the rendered body breaks body_schema at {place}: {error.message}"
        return None


def _refused(error: Exception) -> Invalid:
    place: list[Any] = list(error.instance_path) if isinstance(error, ValidationError) else []
    message = error.message if isinstance(error, ValidationError) else str(error).splitlines()[0]
    return Invalid(f"this is not a JSON Schema: {message}", code="invalid_schema", pointer=pointer(*place))
