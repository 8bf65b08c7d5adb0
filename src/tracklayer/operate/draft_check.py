"""Everything that is wrong with a draft, at once: each of its pieces is held alone against what a save asks for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tracklayer.errors import TrackLayerError
from tracklayer.model.event import Json, encode_json
from tracklayer.operate.destinations import Destinations
from tracklayer.operate.draft import read_draft
from tracklayer.template import TemplateError

MOST_PIECES = 100  # of one object that are looked at one by one; of more, the first problem is found
MOST_PROBLEMS = 100

_Object = dict[str, Json]
_WITHIN: dict[str, _Object] = {
    "transport": {"url": "https://receiver.test"},
    "retry": {"attempts": 0},
    "consent": {"redact": ["user_data"]},
}
_BLAMELESS: _Object = {"name": "draft", "transport": _WITHIN["transport"]}
_IN_PIECES = ("transport", "filter", "retry", "success", "consent")


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a field would be refused; of a template with the place in it."""

    pointer: str  # JSON pointer into the draft; "" is the whole of it
    detail: str
    code: str
    line: int | None = None  # 1-based
    column: int | None = None  # 1-based, in characters
    excerpt: str | None = None  # the line of the template, and below it a caret under the place


class DraftCheck:
    """Holds drafts against what would be saved: as a new destination, or as the next version of a standing one."""

    def __init__(self, destinations: Destinations, workspace_id: str, standing_id: str | None) -> None:
        self._destinations = destinations
        self._workspace_id = workspace_id
        self._standing_id = standing_id

    def problems(self, draft: _Object) -> list[FieldProblem]:
        """Every problem of every field, in the order of the fields, at most 100; empty where a save would succeed.

        `draft` may lack anything. What two fields do to each other is looked at when each is good by itself.
        """
        found: list[FieldProblem] = []
        for problem in self._each_problem(draft):
            if problem not in found:
                found.append(problem)
            if len(found) == MOST_PROBLEMS:
                break
        return found or self._problem(draft)

    def _each_problem(self, draft: _Object) -> Iterator[FieldProblem]:
        for piece in _absent(draft):
            yield from self._problem(piece)
        for field, value in draft.items():
            good = True
            for piece in _pieces(field, value):
                for problem in self._problem(piece):
                    good = False
                    yield problem
            if good:
                yield from self._problem(_BLAMELESS | self._around(field, draft) | {field: value})

    def _around(self, field: str, draft: _Object) -> _Object:
        """What of the rest of a draft, as far as it is good, decides how a body's template or schema is read."""
        if field not in ("template", "body_schema"):
            return {}
        headers = _headers(draft.get("transport"))
        types = {name: value for name, value in headers.items() if name.lower() == "content-type"}
        deciding: list[_Object] = [{"transport": _WITHIN["transport"] | {"headers": types}}]
        if "on_missing" in draft:
            deciding.append({"on_missing": draft["on_missing"]})
        around: _Object = {}
        for piece in deciding:
            if not self._problem(_BLAMELESS | piece):
                around |= piece
        return around

    def _problem(self, draft: _Object) -> list[FieldProblem]:
        """The first problem of a draft, if it has any."""
        try:
            whole = read_draft(encode_json(draft))
            self._destinations.drafted(self._workspace_id, whole, standing_id=self._standing_id)
        except RecursionError:
            return [FieldProblem(pointer="", detail="the draft is nested too deeply", code="malformed")]
        except TrackLayerError as error:
            return [_field_problem(error)]
        return []


def _field_problem(error: TrackLayerError) -> FieldProblem:
    place = error.pointer or ""
    if not isinstance(error, TemplateError):
        return FieldProblem(pointer=place, detail=error.detail, code=error.code)
    excerpt = "\n".join(error.detail.rsplit("\n", 2)[1:])
    return FieldProblem(
        pointer=place, detail=error.message, code=error.code, line=error.line, column=error.column, excerpt=excerpt
    )


def _absent(draft: _Object) -> Iterator[_Object]:
    """For each required field that is absent, a draft that lacks nothing else."""
    for field in _BLAMELESS:
        if field not in draft:
            yield {name: value for name, value in _BLAMELESS.items() if name != field}


def _pieces(field: str, value: Json) -> Iterator[_Object]:
    """Drafts that have nothing for which they could be refused but one small piece of a field each."""
    if field not in _IN_PIECES or not isinstance(value, dict) or len(value) > MOST_PIECES:
        return
    around = _WITHIN.get(field, {})
    for name, part in value.items():
        if name in ("headers", "statuses") and isinstance(part, dict) and len(part) <= MOST_PIECES:
            alone = [{key: each} for key, each in part.items()]
            names = [dict.fromkeys(part, "")] if name == "headers" else []  # two of them may be the same
            yield from (_BLAMELESS | {field: around | {name: each}} for each in alone + names)
        else:
            yield _BLAMELESS | {field: around | {name: part}}


def _headers(transport: Json) -> _Object:
    headers = transport.get("headers") if isinstance(transport, dict) else None
    return headers if isinstance(headers, dict) else {}
