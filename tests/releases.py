"""Other releases than this one, as far as the schema goes: its migrations up to some revision, or more than it has."""

from __future__ import annotations

import shutil
from pathlib import Path

from tracklayer.store.schema import MIGRATIONS


def newest() -> str:
    """The newest revision that this release brings."""
    return max(path.name[:4] for path in (MIGRATIONS / "versions").glob("0*.py"))


def release(folder: Path, *bodies: str, upto: str | None = None) -> Path:
    """The migrations of a release, in `folder`: ours, no further than `upto`, then one of each body.

    A body is what its `upgrade` does, over `op` and `sa`.
    """
    shutil.copytree(MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    last = upto or newest()
    for path in (folder / "versions").glob("0*.py"):
        if path.name[:4] > last:
            path.unlink()
    for body in bodies:
        number = f"{int(last) + 1:04}"
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        (folder / "versions" / f"{number}_next.py").write_text(
            f'"""What a test makes."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
            f'revision = "{number}"\ndown_revision = "{last}"\n\n\ndef upgrade() -> None:\n{lines}\n'
        )
        last = number
    return folder
