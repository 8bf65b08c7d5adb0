"""Which block a block is, by its name."""

from __future__ import annotations

from enum import Enum

from tracklayer.template.helpers import HELPERS
from tracklayer.template.syntax import Call


class BlockKind(Enum):
    """What happens to the branches of a block."""

    IF = "if"
    UNLESS = "unless"
    EACH = "each"
    LIST = "list"
    WITH = "with"
    PREDICATE = "a helper that says yes or no"
    SECTION = "a value"  # `{{#path}}`: once for a value, for each item of a list, not for null and false


_BY_NAME = {
    kind.value: kind for kind in (BlockKind.IF, BlockKind.UNLESS, BlockKind.EACH, BlockKind.LIST, BlockKind.WITH)
}

BLOCK_NAMES = frozenset(_BY_NAME)


def block_kind(call: Call) -> BlockKind:
    """A bare name of ours (`{{#list}}`, `{{#eq}}`) is a section over the field of that name."""
    kind = _BY_NAME.get(call.name.original) if call.name.is_name else None
    if kind is not None and (kind is not BlockKind.LIST or call.params):
        return kind
    helper = HELPERS.get(call.name.original) if call.name.is_name else None
    if helper is not None and helper.is_predicate and (call.params or call.options):
        return BlockKind.PREDICATE
    return BlockKind.SECTION
