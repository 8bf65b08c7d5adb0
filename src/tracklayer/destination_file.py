"""Destinations as a file, in YAML or JSON: objects exactly as the API takes them, under `destinations:`.

Texts may hold `${NAME}`, the value of an environment variable; `$${` stands for a literal `${`. YAML is read as JSON
has it: `no`, `1:30` and `2026-05-05` are texts, keys are texts, and a key that stands twice is an error.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
import yaml

from tracklayer.errors import TrackLayerError, pointer
from tracklayer.model.event import Json

_VARIABLE = re.compile(r"\$\$\{|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|\$\{")

Place = tuple[str | int, ...]


class FileError(TrackLayerError):
    """The file cannot be used; `detail` begins with its name and, where known, the line and column."""

    code = "bad_file"


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One destination of the file."""

    name: str
    body: dict[str, Json]
    from_environment: frozenset[str]  # dotted paths of values that hold an environment variable, so are not shown
    locate: Callable[[str], str]  # where a JSON pointer into `body` stands: `destinations.yaml:12:5`


def parse_destinations(text: str, name: str, environ: Mapping[str, str]) -> list[Draft]:
    """The destinations in `text`, the content of the file called `name` (`.json`: JSON, else YAML).

    Raises `FileError`.
    """
    reader = _JsonReader(name) if name.lower().endswith(".json") else _YamlReader(name)
    value = reader.read(text)
    if not isinstance(value, dict) or not isinstance(value.get("destinations"), list):
        raise FileError(f"{name}: expected an object with a list named destinations at its top")
    unknown = sorted(value.keys() - {"destinations"})
    if unknown:
        raise FileError(f"{reader.where(pointer(unknown[0]))}: {unknown[0]!r} is not known: expected destinations only")
    drafts = [_draft(each, i, reader, environ) for i, each in enumerate(value["destinations"])]
    _refuse_twins(drafts)
    return drafts


class _JsonReader:
    """JSON, its numbers exact; places are pointers, because the parser keeps no lines."""

    def __init__(self, name: str) -> None:
        self._name = name

    def read(self, text: str) -> Json:
        try:
            return json.loads(text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=self._object)
        except json.JSONDecodeError as error:
            raise FileError(f"{self._name}:{error.lineno}:{error.colno}: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            raise FileError(f"{self._name}: {error}") from error

    def where(self, at: str) -> str:
        return f"{self._name} {at}"

    def _object(self, pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise FileError(f"{self._name}: the key {twice!r} stands twice in one object")
        return found


class _YamlReader:
    """YAML with JSON's idea of values, and the line of each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._marks: dict[str, yaml.Mark] = {}  # by JSON pointer
        self._checked: set[int] = set()  # mappings whose keys are known to differ, by id

    def read(self, text: str) -> Json:
        try:
            loader = _JsonLikeLoader(text)
            try:
                node = loader.get_single_node()
                return None if node is None else self._value(node, (), loader)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            reason = ", ".join(part for part in (error.context, error.problem) if part)
            raise FileError(f"{self._at(error.problem_mark or error.context_mark)}: {reason}") from error
        except (yaml.YAMLError, RecursionError) as error:
            raise FileError(f"{self._name}: {error}") from error

    def where(self, at: str) -> str:
        while at not in self._marks and at:
            at = at.rpartition("/")[0]
        return self._at(self._marks.get(at))

    def _at(self, mark: yaml.Mark | None) -> str:
        return self._name if mark is None else f"{self._name}:{mark.line + 1}:{mark.column + 1}"

    def _value(self, node: yaml.Node, place: Place, loader: _JsonLikeLoader) -> Json:
        self._marks[pointer(*place)] = node.start_mark
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, loader)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(each, (*place, i), loader) for i, each in enumerate(node.value)]
        return loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, place: Place, loader: _JsonLikeLoader) -> dict[str, Json]:
        if id(node) not in self._checked:  # an alias comes again, with what was merged into it
            self._checked.add(id(node))
            self._check_keys([key for key, _ in node.value if key.tag != _MERGE])
        loader.flatten_mapping(node)  # `<<: *anchor`: merged pairs come first, so written ones win
        return {key.value: self._value(value, (*place, key.value), loader) for key, value in node.value}

    def _check_keys(self, keys: list[yaml.Node]) -> None:
        seen: set[str] = set()
        for key in keys:
            if not isinstance(key, yaml.ScalarNode):
                raise FileError(f"{self._at(key.start_mark)}: a key must be a text")
            if key.value in seen:
                raise FileError(f"{self._at(key.start_mark)}: the key {key.value!r} stands twice in one object")
            seen.add(key.value)


_MERGE = "tag:yaml.org,2002:merge"


class _JsonLikeLoader(yaml.SafeLoader):
    """Resolves plain scalars as JSON would, and the merge key."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's own shape)


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|false", "tf"),
    ("tag:yaml.org,2002:null", r"null|~|", ["n", "~", ""]),
    ("tag:yaml.org,2002:int", r"-?(0|[1-9][0-9]*)", "-0123456789"),
    ("tag:tracklayer,number", r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
    (_MERGE, r"<<", "<"),
):
    _JsonLikeLoader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), list(_first))
_JsonLikeLoader.add_constructor("tag:tracklayer,number", lambda _loader, node: Decimal(node.value))


def _no_constant(word: str) -> Json:
    raise ValueError(f"{word} is not a value in JSON")


def _draft(value: Json, number: int, reader: _JsonReader | _YamlReader, environ: Mapping[str, str]) -> Draft:
    place: Place = ("destinations", number)
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise FileError(
            f"{reader.where(pointer(*place))}: expected an object with a name, which says what destination is meant"
        )
    filled = _Environment(environ, reader)
    body = filled.fill(value, place)
    return Draft(
        name=body["name"],
        body=body,
        from_environment=frozenset(".".join(map(str, each[len(place) :])) for each in filled.used),
        locate=lambda at: reader.where(pointer(*place) + at),
    )


class _Environment:
    """Puts the values of environment variables in, and remembers where."""

    def __init__(self, environ: Mapping[str, str], reader: _JsonReader | _YamlReader) -> None:
        self._environ = environ
        self._reader = reader
        self.used: list[Place] = []

    def fill(self, value: Json, place: Place) -> Any:
        """`value` with every `${NAME}` in its texts replaced. Raises `FileError` for a variable that is not set."""
        if isinstance(value, dict):
            return {key: self.fill(each, (*place, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, (*place, i)) for i, each in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        return _VARIABLE.sub(lambda match: self._replacement(match, place), value)

    def _replacement(self, match: re.Match[str], place: Place) -> str:
        name = match["name"]
        if match[0] == "$${":
            return "${"
        if name is None:
            detail = "${ is not followed by a NAME and }: write $${ for a literal ${"
        elif name not in self._environ:
            detail = f"the environment variable {name} is not set"
        else:
            self.used.append(place)
            return self._environ[name]
        raise FileError(f"{self._reader.where(pointer(*place))}: {detail} (at {'.'.join(map(str, place))})")


def _refuse_twins(drafts: list[Draft]) -> None:
    first: dict[str, Draft] = {}
    for draft in drafts:
        other = first.setdefault(draft.name, draft)
        if other is not draft:
            raise FileError(f"{draft.locate('')}: the name {draft.name!r} stands already at {other.locate('')}")
