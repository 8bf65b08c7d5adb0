"""Requests and answers as our handlers see them: bodies unpacked, bounded, typed, and exact in their numbers."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Empty

from tracklayer.decoding import check_keys, decode_as, decode_object
from tracklayer.errors import Malformed
from tracklayer.model.event import encode_json
from tracklayer.web.unpack import too_large, unpack


class ApiRequest(Request[Any, Any, Any]):
    """A request whose body is read up to the limit, gunzipped, and decoded as what the handler's `data` asks for."""

    async def body(self) -> bytes:
        """The whole body, unpacked. Raises `TooLarge` or `Malformed`."""
        if self._body is Empty:
            limit = self.app.state.service.settings.request_limit
            try:
                raw = await super().body()
            except RequestEntityTooLarge as error:
                raise too_large(limit) from error
            body = unpack(raw, self.headers.get("content-encoding"), limit)
            field = self.route_handler.parsed_data_field
            if not body and field is not None and not field.is_optional:
                raise Malformed("there is no body: expected JSON", pointer="")
            self._body = self._connection_state.body = body
        return self._body

    async def json(self) -> Any:
        """The body as the type of the handler's `data`. Raises `Malformed` or `Invalid` with the place."""
        field = self.route_handler.parsed_data_field
        raw = await self.body()
        if field is None or field.annotation in (dict, Any) or field.origin is dict:
            data = decode_object(raw)
        else:
            data = decode_as(raw, field.annotation)
        check_keys(raw)
        return data


class ApiResponse(Response[Any]):
    """An answer in JSON, decimals digit for digit."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> bytes:  # noqa: ARG002 (the framework's)
        """Encode; bytes go out as they are."""
        return content if isinstance(content, bytes) else encode_json(content)
