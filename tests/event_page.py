"""Write the table of every field in docs/event.md from the code: `make docs`."""

from __future__ import annotations

from pathlib import Path

from tracklayer.model.event import encode_json
from tracklayer.model.event_reference import FIELDS

PAGE = Path(__file__).parent.parent / "docs" / "event.md"
HEAD = "\n## Every field\n"
NEXT = "\n## "


def table() -> str:
    """The table."""
    rows = ["| field | type | what it is | where it comes from | example |", "|---|---|---|---|---|"]
    for field in FIELDS:
        example = encode_json(field.example).decode()
        rows.append(f"| `{field.path}` | {field.type} | {field.what} | {field.source} | `{example}` |")
    return "\n".join(rows) + "\n"


def page(text: str) -> str:
    """`text`, a page, with the table as it should be."""
    before, _, rest = text.partition(HEAD)
    said, _, after = rest.partition(NEXT)
    return before + HEAD + said.partition("| field |")[0] + table() + NEXT + after


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
