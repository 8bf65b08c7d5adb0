"""From a destination's transport and template to one request: rendered once per attempt, compiled once per version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

import msgspec

from tracklayer.delivery.body_schema import BodySchema
from tracklayer.delivery.part import Missing, Part
from tracklayer.delivery.redact import Blind, Redactor
from tracklayer.errors import Invalid, at, pointer
from tracklayer.model.delivery import Request
from tracklayer.model.destination import DestinationConfig, OnMissing
from tracklayer.model.duration import parse_duration
from tracklayer.model.event import Event, Json, decode_json, event_to_json
from tracklayer.template import Escape, Limits, RenderError, compile_template

JSON_TYPE = "application/json"
MOST_MADE = 100  # texts of one body that are made of secrets and looked for in the answer

_LITERAL_ORIGIN = re.compile(r"https?://(?P<authority>[^/?#{}\\\s]+)(?=[/?#]|\Z)", re.IGNORECASE)
_MUSTACHES = re.compile(r"\{\{.*?\}\}+", re.DOTALL)
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2
_RESERVED = frozenset({"idempotency-key", "host", "content-length", "transfer-encoding", "connection"})
_RESERVED_PREFIXES = ("x-tracklayer-", "webhook-")
_FORBIDDEN_IN_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x20\x7f]")


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a request that depends on the event alone: not yet signed, not yet stamped."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]  # the user's, in their order
    body: bytes | None
    content_type: str
    missing: tuple[Missing, ...] = ()
    invalid: str | None = None  # why the body must not be sent, and where


class Renderer:
    """A destination version's transport and template, compiled.

    Building one raises `Invalid` with a pointer into the configuration for everything that could be known when
    it was saved.
    """

    def __init__(self, config: DestinationConfig, limits: Limits) -> None:
        transport = config.transport
        self.method = transport.method
        self._url = _compile_url(transport.url, config.on_missing)
        self._headers = tuple(
            (name, _compile_header(name, value, config.on_missing)) for name, value in _checked_names(transport.headers)
        )
        self.timeout = _seconds(transport.timeout, "timeout")
        self.connect_timeout = _seconds(transport.connect_timeout, "connect_timeout")
        self.read_timeout = None if transport.read_timeout is None else _seconds(transport.read_timeout, "read_timeout")
        literal_type = next((value for name, value in transport.headers.items() if name.lower() == "content-type"), "")
        self.content_type = literal_type or JSON_TYPE
        escape = body_escape(self.content_type)
        self.is_json = escape is Escape.JSON
        self._template: Part | None = None
        if config.template is not None:
            with at("template"):
                compiled = compile_template(config.template, escape=escape, on_missing=config.on_missing, limits=limits)
            self._template = Part(compiled, "/template", "")
        self._schema = None if config.body_schema is None else self._compile_schema(config.body_schema)
        mixed = [self._url.template, *(part.template for _, part in self._headers)]
        self._secrets_vary = any(template.secrets and template.paths for template in mixed)
        every = [*mixed, self._template.template] if self._template else mixed
        self.secrets: frozenset[str] = frozenset().union(*(template.secrets for template in every))
        self.secrets_in_body = self._template is not None and bool(self._template.template.secrets)
        self._redactor: tuple[Mapping[str, str], Redactor] | None = None

    def render(self, event: Event, scope: Mapping[str, object], *, kept_body: bytes | None = None) -> Rendered:
        """Render for one event. `scope` is the event's fields with `secrets`, `destination` and `delivery`.

        A `kept_body` (of a replay `as_sent`) is checked, and goes out as it is instead of a rendered one.
        Raises `RenderError`; a body that came out but must not be sent has `invalid` set instead, so that people
        can look at it.
        """
        rendered = self.show(event, scope, kept_body=kept_body)
        if _FORBIDDEN_IN_URL.search(rendered.url):
            raise RenderError("the URL has a space or a control character after rendering")
        for name, value in rendered.headers:
            if _FORBIDDEN_IN_HEADER.search(value):
                raise RenderError(
                    f"the header {name} has a line break or a character that headers cannot carry after rendering"
                )
        return rendered

    def show(self, event: Event, scope: Mapping[str, object], *, kept_body: bytes | None = None) -> Rendered:
        """The same for people, where masked secrets stand in a header that could not be sent so."""
        missing: list[Missing] = []
        url = self._url.render(scope, missing)
        headers = tuple([(name, part.render(scope, missing).strip()) for name, part in self._headers])
        body = self._body(event, scope, missing) if kept_body is None else kept_body
        return Rendered(
            method=self.method,
            url=url,
            headers=headers,
            body=body,
            content_type=self.content_type,
            missing=tuple(missing),
            invalid=None if body is None else self._invalid(body),
        )

    def _compile_schema(self, schema: dict[str, Json]) -> BodySchema:
        with at("body_schema"):
            if not self.is_json:
                raise Invalid(f"a {self.content_type} body has no JSON Schema", code="invalid_schema", pointer="")
            return BodySchema(schema)

    def _body(self, event: Event, scope: Mapping[str, object], missing: list[Missing]) -> bytes | None:
        if self.method == "GET":
            return None
        return event_to_json(event) if self._template is None else self._template.render(scope, missing).encode()

    def _invalid(self, body: bytes) -> str | None:
        """Why a body must not be sent, and where it is wrong."""
        invalid = invalid_json(body) if self.is_json and self._template is not None else None
        return self._schema.violation(body) if invalid is None and self._schema is not None else invalid

    def redactor(self, secrets: Mapping[str, str], rendered: Rendered, masked: Rendered | None = None) -> Redactor:
        """What takes this request's secrets out of the answer to it; the same one for as long as they are the same.

        `masked` is the same request with masked secrets, where they stand in the body (`secrets_in_body`): what differs
        there was made of them.
        """
        if masked is not None and rendered.body is not None and masked.body is not None:
            revealing, made = self._revealing(secrets, rendered), _texts_of(rendered.body) - _texts_of(masked.body)
            return Redactor(revealing | made) if len(made) <= MOST_MADE else Blind(revealing)
        if self._redactor is None or self._redactor[0] is not secrets or self._secrets_vary:
            self._redactor = (secrets, Redactor(self._revealing(secrets, rendered)))
        return self._redactor[1]

    def _revealing(self, secrets: Mapping[str, str], rendered: Rendered) -> set[str]:
        """Every text of a rendered request from which one of its secrets could be read."""
        found = {secrets[name] for name in self.secrets if name in secrets}
        for (_, value), (_, part) in zip(rendered.headers, self._headers, strict=True):
            if part.template.secrets:
                found.update((value, value.partition(" ")[2]))
        if self._url.template.secrets:
            found.add(rendered.url.partition("://")[2].partition("/")[2])
        return found


def stamp(
    rendered: Rendered,
    renderer: Renderer,
    *,
    delivery_id: str,
    event_id: str,
    attempt: int,
    timestamp: int,
    agent: str,
    signature: tuple[tuple[str, str], ...],
) -> Request:
    """The request as it goes out: the user's headers, then ours, which always come."""
    given = {name.lower() for name, _ in rendered.headers}
    headers = list(rendered.headers)
    if "content-type" not in given and rendered.body is not None:
        headers.append(("Content-Type", rendered.content_type))
    if "user-agent" not in given:
        headers.append(("User-Agent", agent))
    headers += (
        ("X-TrackLayer-Event-Id", event_id if _PLAIN.fullmatch(event_id) else quote(event_id, safe=_PRINTABLE)),
        ("X-TrackLayer-Delivery-Id", delivery_id),
        ("X-TrackLayer-Attempt", str(attempt)),
        ("X-TrackLayer-Timestamp", str(timestamp)),
        ("Idempotency-Key", delivery_id),
        *signature,
    )
    return Request(
        method=rendered.method,
        url=rendered.url,
        headers=tuple(headers),
        body=rendered.body,
        timeout=renderer.timeout,
        connect_timeout=renderer.connect_timeout,
        read_timeout=renderer.read_timeout,
    )


_PLAIN = re.compile(r"[\x21-\x7e]+")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
"""What an event id keeps in its header; anything else (spaces, other alphabets) is percent-encoded as UTF-8."""


def _texts_of(body: bytes) -> set[str]:
    """The texts in a body: of JSON the values, else what stands between blanks, `=`, `&` and brackets."""
    try:
        return set(_leaves(decode_json(body)))
    except (msgspec.DecodeError, RecursionError, ArithmeticError):
        return set(re.split(r"[\s=&<>]+", body.decode(errors="replace")))


def _leaves(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)


def invalid_json(body: bytes) -> str | None:
    """Why `body` is not JSON, and where; None where it is."""
    try:
        _check_json(body)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"the rendered body is not valid JSON: {error}"
    return None


_check_json = msgspec.json.Decoder(msgspec.Raw).decode


def body_escape(content_type: str) -> Escape:
    """How values are escaped in a body of this type."""
    essence = content_type.partition(";")[0].strip().lower()
    if essence == JSON_TYPE or essence.endswith("+json") or "{{" in essence:
        return Escape.JSON
    if essence == "application/x-www-form-urlencoded":
        return Escape.FORM
    if essence.endswith(("/xml", "+xml")):
        return Escape.XML
    return Escape.TEXT


def _compile_url(url: str, on_missing: OnMissing) -> Part:
    with at("transport", "url"):
        origin = _LITERAL_ORIGIN.match(url)
        if origin is None or not _has_host(origin[0]):
            host, _, port = origin[0].rpartition(":") if origin else ("", "", "")
            if host and _has_host(host):
                raise _bad_url(f"the port of the URL is {port[:20]!r}: expected 1 to 65535")
            raise _bad_url(
                f"{url!r} is not a usable URL: expected http:// or https:// and a host, both without templates"
            )
        if "@" in origin["authority"]:
            raise _bad_url("the URL has a user or password in it: put them in an Authorization header with a secret")
        literal = _MUSTACHES.sub("", url)
        if _FORBIDDEN_IN_URL.search(literal) or "#" in literal:
            raise _bad_url("the URL has a space, a control character or a # in it: percent-encode it")
        return Part(compile_template(url, escape=Escape.URL, on_missing=on_missing), "/transport/url", "the URL, ")


def _has_host(origin: str) -> bool:
    try:
        parts = urlsplit(origin)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket that does not close
        return False


def _bad_url(detail: str) -> Invalid:
    return Invalid(detail, code="invalid_url", pointer="")


def _checked_names(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    seen = set()
    for name in headers:
        lower = name.lower()
        place = pointer("transport", "headers", name)
        if not _TOKEN.fullmatch(name):
            raise Invalid(f"{name!r} is not a header name", code="invalid_header", pointer=place)
        if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
            raise Invalid(
                f"the header {name} is set by TrackLayer and cannot be replaced", code="reserved_header", pointer=place
            )
        if lower in seen:
            raise Invalid(f"the header {name} is given twice", code="invalid_header", pointer=place)
        seen.add(lower)
    return list(headers.items())


def _compile_header(name: str, value: str, on_missing: OnMissing) -> Part:
    with at("transport", "headers", name):
        if _FORBIDDEN_IN_HEADER.search(value):
            raise Invalid(
                f"the value of {name} has a line break or a character that headers cannot carry",
                code="invalid_header",
                pointer="",
            )
        template = compile_template(value, escape=Escape.TEXT, on_missing=on_missing)
        return Part(template, pointer("transport", "headers", name), f"the header {name}, ")


def _seconds(value: str | int | float, field: str) -> float:
    with at("transport", field):
        seconds = parse_duration(value, stored=True)
        if not 0.001 <= seconds <= 300:
            raise Invalid(f"{value!r} is out of range: expected 1ms to 5m", code="invalid_duration", pointer="")
        return seconds
