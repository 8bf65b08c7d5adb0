"""docs/access.md against the code: the actions of the audit trail."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tracklayer.operate
from tracklayer.operate.destinations import _TURNS
from tracklayer.web.console.pages.audit import KINDS

PAGE = Path(__file__).parent.parent / "docs" / "access.md"
OPERATE = Path(str(tracklayer.operate.__file__)).parent

_RECORDS = ("_record", "_record_all", "_Change")  # what takes a verb, for the kind of its module


def documented() -> set[str]:
    """The actions of the page's table: `` `key.created`, `.revoked` `` are two of one kind."""
    found: set[str] = set()
    for row in re.findall(r"^\| (`\w+\.\w+`(?:, `\.\w+`)*) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        first, *others = re.findall(r"`([\w.]+)`", row)
        found |= {first, *(first.partition(".")[0] + other for other in others)}
    return found


def recorded() -> set[str]:
    """The actions that the code writes down, as its text has them."""
    found = {f"destination.{verb}" for verb in _TURNS.values()}
    for file in OPERATE.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        for line in text.splitlines():
            found |= set(re.findall(r'"(\w+\.\w+)"', line)) if "action" in line else set()
        for kind in re.findall(r'action=f"(\w+)\.\{verb\}"', text):
            found |= {f"{kind}.{verb}" for verb in verbs(text)}
    return found


def verbs(text: str) -> Iterator[str]:
    """The verbs in the calls of a module that record an action."""
    for call in ast.walk(ast.parse(text)):
        if isinstance(call, ast.Call) and ast.unparse(call.func).removeprefix("self.") in _RECORDS:
            for given in call.args:
                for each in (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,):
                    if isinstance(each, ast.Constant) and isinstance(each.value, str):
                        yield each.value


def test_the_page_has_every_action_of_the_audit_trail() -> None:
    assert documented() == recorded()


def test_the_console_offers_every_kind_of_them() -> None:
    assert {kind for kind, _ in KINDS} == {action.partition(".")[0] for action in recorded()}
