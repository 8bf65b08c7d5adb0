"""Helpers over lists and objects. None changes what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tracklayer.template.helper import (
    COUNT,
    FLAG,
    LIST,
    LONGEST_TEXT,
    OBJECT,
    OBJECT_OR_NULL,
    SOMETHING,
    TEXT,
    Helper,
    Refusal,
    shown,
    to_number,
)
from tracklayer.template.values import is_number, json_text, step, text_of


def _join(items: Sequence[object], separator: str = ",") -> str:
    """The items as texts with `separator` between them."""
    if len(items) * len(separator) > LONGEST_TEXT:
        raise Refusal(f"the result is longer than {LONGEST_TEXT} characters")
    return separator.join([text_of(item) for item in items])


def _length(value: object) -> int:
    """The number of characters, items or members."""
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise Refusal(f"expected a text, a list or an object, got {shown(value)}")


def _first(items: Sequence[object], count: int | None = None) -> object:
    """The first item, or a list of the first `count`."""
    if count is None:
        return items[0] if items else None
    return list(items[: max(0, count)])


def _last(items: Sequence[object], count: int | None = None) -> object:
    """The last item, or a list of the last `count`."""
    if count is None:
        return items[-1] if items else None
    return list(items[max(0, len(items) - max(0, count)) :])


def _sort(items: Sequence[object], *, by: str | None = None, desc: bool = False) -> list[object]:
    """By value, or by what the path `by` leads to in each item; equal ones keep their order and null comes last."""
    keys = _each(items, by)
    known = [index for index, key in enumerate(keys) if key is not None]
    ranks = dict(zip(known, _ranks([keys[index] for index in known]), strict=True))
    known.sort(key=ranks.__getitem__, reverse=desc)
    return [items[index] for index in known] + [item for item, key in zip(items, keys, strict=True) if key is None]


def _ranks(keys: list[object]) -> list[Any]:
    """What to sort by: texts by their characters; where a number is among them all must be or read as numbers."""
    if len(keys) < 2 or all(isinstance(key, str) for key in keys):
        return keys
    if not any(map(is_number, keys)):
        raise Refusal(f"expected numbers or texts, got {shown(keys[0])} and {shown(keys[1])}")
    return [to_number(key) for key in keys]


def _unique(items: Sequence[object], *, by: str | None = None) -> list[object]:
    """The first of those that are equal (or whose `by` is); 1 and 1.0 are equal, 1 and "1" are not."""
    firsts: dict[object, object] = {}
    for item, key in zip(items, _each(items, by), strict=True):
        firsts.setdefault(_identity(key), item)
    return list(firsts.values())


def _map(items: Sequence[object], path: str) -> list[object]:
    """What `path` leads to in each item, null where it leads nowhere."""
    return _each(items, path)


def _each(items: Sequence[object], path: str | None) -> list[object]:
    parts = path.split(".") if path is not None else []
    return [_reached(item, parts) for item in items]


def _reached(value: object, parts: list[str]) -> object:
    for part in parts:
        if value is None:
            break
        value = step(value, part)
    return value


def _identity(value: object) -> object:
    return to_number(value) if is_number(value) else json_text(value)


def _pick(members: Mapping[str, object], *names: str) -> dict[str, object]:
    """Only these members, in this order."""
    return {name: members[name] for name in names if name in members}


def _omit(members: Mapping[str, object], *names: str) -> dict[str, object]:
    """All members but these."""
    unwanted = frozenset(names)
    return {name: value for name, value in members.items() if name not in unwanted}


def _merge(*objects: Mapping[str, object]) -> dict[str, object]:
    """One object of them all; of members with the same name the last one counts."""
    merged: dict[str, object] = {}
    for members in objects:
        merged.update(members)
    return merged


def _compact(value: object) -> object:
    """Without nulls, empty texts, empty lists and empty objects, at every depth."""
    if isinstance(value, Mapping):
        return {name: kept for name, member in value.items() if not _is_hollow(kept := _compact(member))}
    if isinstance(value, list | tuple):
        return [kept for item in value if not _is_hollow(kept := _compact(item))]
    return value


def _is_hollow(value: object) -> bool:
    return value is None or (isinstance(value, str | list | Mapping) and not value)


LIST_HELPERS = (
    Helper("join", _join, (LIST,), (TEXT,)),
    Helper("length", _length, (SOMETHING,)),
    Helper("first", _first, (LIST,), (COUNT,)),
    Helper("last", _last, (LIST,), (COUNT,)),
    Helper("sort", _sort, (LIST,), options={"by": TEXT, "desc": FLAG}, keeps_items=True),
    Helper("unique", _unique, (LIST,), options={"by": TEXT}, keeps_items=True),
    Helper("map", _map, (LIST, TEXT)),
    Helper("pick", _pick, (OBJECT, TEXT), rest=TEXT),
    Helper("omit", _omit, (OBJECT, TEXT), rest=TEXT),
    Helper("merge", _merge, (OBJECT_OR_NULL,), rest=OBJECT_OR_NULL, asks=True),
    Helper("compact", _compact, (SOMETHING,)),
)
