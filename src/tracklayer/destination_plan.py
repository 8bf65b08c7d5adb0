"""From a file of destinations to the server: what would change, and making it so. Doing it twice changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from tracklayer.client import ApiClient, ApiError
from tracklayer.destination_file import Draft, FileError
from tracklayer.model.event import Json, encode_json

HIDDEN = "••••"
SHOWN = 160  # characters of a value in a plan

Action = Literal["create", "update", "unchanged"]

_REFUSED = (400, 413, 422)  # the destination itself is at fault, not the key or the server


class FieldChange(msgspec.Struct, frozen=True, kw_only=True):
    """One field that would change, by dotted path; values that came from the environment are hidden."""

    path: str
    old: Json
    new: Json

    def lines(self) -> list[str]:
        """The change for people: one line, or a diff where a text has several."""
        if isinstance(self.old, str) and isinstance(self.new, str) and "\n" in self.old + self.new:
            diff = difflib.unified_diff(self.old.splitlines(), self.new.splitlines(), lineterm="", n=1)
            return [f"{self.path}:", *(f"  {line}" for line in list(diff)[2:])]
        return [f"{self.path}: {_short(self.old)} → {_short(self.new)}"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one destination of the file."""

    action: Action
    draft: Draft
    id: str | None = None
    version: int | None = None  # that the plan was made from
    changes: list[FieldChange] = msgspec.field(default_factory=list)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A whole file held against a server."""

    steps: list[Step]
    others: list[str]  # names that the server has and the file has not; they are left alone

    @property
    def pending(self) -> list[Step]:
        """The steps that change something."""
        return [step for step in self.steps if step.action != "unchanged"]


def make_plan(client: ApiClient, drafts: list[Draft]) -> Plan:
    """Ask the server what each destination of the file would change. Changes nothing.

    Raises `FileError` with every destination that the server would refuse, and where a name is not unique there.
    """
    standing: dict[str, list[dict[str, Any]]] = {}
    for row in client.rows("/v1/destinations"):
        standing.setdefault(row["name"], []).append(row)
    steps: list[Step] = []
    refused: list[str] = []
    for draft in drafts:
        try:
            steps.append(_step(client, draft, standing.get(draft.name, [])))
        except ApiError as error:
            if error.status not in _REFUSED:
                raise
            refused.append(_refusal(draft, error))
    if refused:
        raise FileError("\n".join(refused))
    names = {draft.name for draft in drafts}
    return Plan(steps=steps, others=sorted(standing.keys() - names))


def apply(client: ApiClient, plan: Plan) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Make the changes of a plan one by one; gives each step with what the server has after it.

    A destination that was changed since the plan was made is refused by the server (412), not overwritten.
    """
    for step in plan.pending:
        try:
            if step.id is None:
                yield step, client.post("/v1/destinations", step.draft.body)
            else:
                path = f"/v1/destinations/{step.id}"
                yield step, client.call("PUT", path, step.draft.body, if_match=f'"{step.version}"')
        except ApiError as error:
            raise FileError(_refusal(step.draft, error)) from error


def _step(client: ApiClient, draft: Draft, found: list[dict[str, Any]]) -> Step:
    if len(found) > 1:
        ids = ", ".join(row["id"] for row in found)
        raise FileError(f"{draft.locate('')}: the server has {len(found)} destinations named {draft.name!r}: {ids}")
    if not found:
        client.post("/v1/destinations", draft.body, dry_run=True)
        return Step(action="create", draft=draft)
    (row,) = found
    answer = client.put(f"/v1/destinations/{row['id']}", draft.body, dry_run=True)
    changes = [_change(each, draft) for each in answer["changes"]]
    action: Action = "update" if answer["changed"] else "unchanged"
    return Step(action=action, draft=draft, id=row["id"], version=row["version"], changes=changes)


def _change(change: dict[str, Any], draft: Draft) -> FieldChange:
    path = change["path"]
    if any(_within(path, hidden) or _within(hidden, path) for hidden in draft.from_environment):
        return FieldChange(path=path, old=HIDDEN, new=HIDDEN)
    return FieldChange(path=path, old=change["old"], new=change["new"])


def _within(path: str, parent: str) -> bool:
    return path == parent or path.startswith(parent + ".")


def _refusal(draft: Draft, error: ApiError) -> str:
    at = f" ({error.pointer})" if error.pointer else ""
    return f"{draft.locate(error.pointer or '')}: destination {draft.name!r}: {error.detail}{at}"


def _short(value: Json) -> str:
    text = encode_json(value).decode() if value != HIDDEN else HIDDEN
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
