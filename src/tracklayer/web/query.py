"""What may stand in a call's query: what its handler reads, and each once. Anything else would be ignored in silence:
`?dryrun=true` would save."""

from __future__ import annotations

from collections import Counter
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import ParameterKwarg

from tracklayer.errors import Malformed, pointer
from tracklayer.web.api.views import Page

_SHOWN = 100  # characters of a name
_GIVEN = ("request", "service", "data")  # to a handler, and not by its caller's query


async def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse a parameter that the call does not know, or that comes twice. Raises `Malformed`.

    What machines watch (`/healthz`) is left alone: they add what keeps caches away.
    """
    if not request.url.path.startswith("/v1/"):
        return
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        known = _known(request.route_handler)
        if name not in known:
            likely = get_close_matches(name, known, 1)
            hint = f"did you mean {likely[0]}?" if likely else f"expected {', '.join(sorted(known)) or 'none'}"
            raise Malformed(
                f"there is no parameter {name[:_SHOWN]!r} here: {hint}",
                code="unknown_parameter",
                pointer=pointer(name[:_SHOWN]),
            )
        if times > 1:
            raise Malformed(f"{name} comes {times} times", code="duplicate_parameter", pointer=pointer(name))


@lru_cache(maxsize=512)
def _known(handler: HTTPRouteHandler) -> frozenset[str]:
    """The names of a handler's parameters that are neither in the path nor in a header."""
    in_path = {part.split(":")[0].strip("{") for path in handler.paths for part in path.split("/") if ":" in part}
    answer = handler.parsed_fn_signature.return_type
    names = {"limit", "cursor"} if answer.origin is Page else set[str]()  # also of a list that comes whole
    for name, field in handler.parsed_fn_signature.parameters.items():
        said = field.kwarg_definition if isinstance(field.kwarg_definition, ParameterKwarg) else None
        if name not in _GIVEN and name not in in_path and not (said and said.header):
            names.add(said.query if said and said.query else name)
    return frozenset(names)
