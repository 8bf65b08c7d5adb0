"""A client of TrackLayer's own API, for the command line and the demo: blocking, every call with a timeout."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import SyncResponse

from tracklayer import __version__
from tracklayer.errors import Invalid, TrackLayerError
from tracklayer.model.event import Json, decode_json, encode_json

CONNECT_TIMEOUT = timedelta(seconds=5)
TIMEOUT = timedelta(minutes=2)  # a synthetic test takes as long as its destination's timeout
PAGE = 200


class ApiError(TrackLayerError):
    """The server refused; `code`, `detail` and `pointer` are its own words, `status` is the HTTP status."""

    def __init__(self, status: int, detail: str, *, code: str, pointer: str | None) -> None:
        super().__init__(detail, code=code, pointer=pointer)
        self.status = status


class Unreachable(TrackLayerError):
    """No TrackLayer answers at that address."""

    code = "unreachable"


class ApiClient:
    """One server, with one key. Numbers with a fraction come and go as `Decimal`, digit for digit."""

    def __init__(self, url: str, key: str) -> None:
        """`url` is the server's address, such as `http://127.0.0.1:8080`. Raises `Invalid` for anything else."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"{url!r} is not the address of a server: expected such as http://127.0.0.1:8080")
        if not key.isascii() or not key.isprintable():
            raise Invalid("the API key has characters that no key has: copy it again")
        self.url = url.rstrip("/")
        self._key = key
        builder = SyncClientBuilder().timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT).follow_redirects(False)
        if parts.hostname in ("localhost", "127.0.0.1", "::1"):
            builder = builder.no_proxy()
        self._http: SyncClient = builder.user_agent(f"TrackLayer/{__version__}").build()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: Json) -> Any:
        """What stands at `path`. A None in `query` is left out. Raises `ApiError` or `Unreachable`, as all calls do."""
        return self.call("GET", path, query=query)

    def post(self, path: str, body: Json = None, **query: Json) -> Any:
        """The answer to `body`."""
        return self.call("POST", path, body, query=query)

    def put(self, path: str, body: Json, **query: Json) -> Any:
        """The answer to replacing what stands at `path`."""
        return self.call("PUT", path, body, query=query)

    def pages(self, path: str, **query: Json) -> Iterator[list[dict[str, Any]]]:
        """A list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, **{"limit": PAGE, **query, "cursor": cursor})
            yield page["data"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def rows(self, path: str, **query: Json) -> Iterator[dict[str, Any]]:
        """A whole list, row by row."""
        for page in self.pages(path, **query):
            yield from page

    def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        *,
        query: dict[str, Json] | None = None,
        if_match: str | None = None,
    ) -> Any:
        """One request; answers the decoded body, None where there is none."""
        address = self.url + path + _query(query or {})
        request = self._http.request(method, address).header("Authorization", f"Bearer {self._key}")
        if if_match is not None:
            request = request.header("If-Match", if_match)
        if body is not None:
            request = request.header("Content-Type", "application/json").body_bytes(encode_json(body))
        try:
            response = request.build().send()
            raw = bytes(response.bytes())
        except PyreqwestError as error:
            raise Unreachable(
                f"no TrackLayer answers at {self.url}: {_reason(error)}. Is it running (tracklayer serve), and there?"
            ) from error
        return self._answer(response, raw)

    def _answer(self, response: SyncResponse, raw: bytes) -> Any:
        kind = response.get_header("content-type") or ""
        try:
            answer = decode_json(raw) if "json" in kind else None
        except msgspec.DecodeError as error:
            raise Unreachable(
                f"{self.url} answered {response.status} with JSON that cannot be read: {error}"
            ) from error
        if response.status < 300 and (answer is not None or not raw):
            return answer
        if not isinstance(answer, dict) or "detail" not in answer:
            raise Unreachable(f"{self.url} answered {response.status} ({kind or 'no content type'}): is it TrackLayer?")
        raise ApiError(
            response.status, str(answer["detail"]), code=str(answer.get("code")), pointer=answer.get("pointer")
        )


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")


def _query(query: dict[str, Json]) -> str:
    given = {name: _word(value) for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _word(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reason(error: PyreqwestError) -> str:
    """The innermost cause, which says most: `Connection refused`."""
    causes = (getattr(error, "details", None) or {}).get("causes") or [{"message": error.message}]
    return str(causes[-1]["message"])
