"""Write docs/settings.md from the table of settings: `make docs`."""

from __future__ import annotations

from pathlib import Path

from tracklayer.cli import app
from tracklayer.settings import CLIENT_VARIABLES, Entry, settings_table

PAGE = Path(__file__).parent.parent / "docs" / "settings.md"

_BEFORE = """\
# Settings

Every setting is an environment variable. `tracklayer serve` and `migrate` also take it as an option of the same name in
lower case, which wins:
`TRACKLAYER_DATA_DIR=/var/lib/tracklayer` or `--data-dir /var/lib/tracklayer`. An empty value counts as not given.
A value that cannot be used, and a `TRACKLAYER_…` variable that is no setting, stop the start: the message says why.

"""

_AFTER = """
Sizes take `KiB`, `MiB` and `GiB`, or plain bytes. Durations take `ms`, `s`, `m`, `h` and `d`, also joined: `1m30s`.

**Kubernetes**: a Service named `tracklayer` puts variables such as `TRACKLAYER_PORT=tcp://…` into every pod
of its namespace. Set `enableServiceLinks: false` on the pod, or give the Service another name.

## For the commands that call a server

{callers} read these too; the server ignores them.

| variable | meaning |
|---|---|
{client}
"""


def page() -> str:
    """The whole page."""
    rows = ["| variable | default | meaning | expected |", "|---|---|---|---|"]
    rows += [_row(entry) for entry in settings_table()]
    client = [f"| `{variable}` | {meaning} |" for variable, meaning in CLIENT_VARIABLES.items()]
    return _BEFORE + "\n".join(rows) + "\n" + _AFTER.format(callers=_callers(), client="\n".join(client))


def _callers() -> str:
    """The commands that call a server: those in groups."""
    *names, last = (f"`{each.typer_instance.info.name}`" for each in app.registered_groups if each.typer_instance)
    return f"The commands of {', '.join(names)} and {last}"


def _row(entry: Entry) -> str:
    default = f"`{entry.setting.kind.show(entry.default)}`" if entry.default else "none"
    cells = (f"`{entry.variable}`", default, entry.setting.doc, entry.setting.kind.expected)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
