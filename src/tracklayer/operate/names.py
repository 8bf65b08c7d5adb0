"""What people call what they make."""

from __future__ import annotations

from tracklayer.errors import Invalid

LONGEST = 200  # characters


def checked_name(name: str) -> str:
    """The name without blanks around it. Raises `Invalid` for one that says nothing, or does not show as it is."""
    if not name.strip() or len(name) > LONGEST or not name.isprintable():
        raise Invalid(f"the name must have 1 to {LONGEST} printable characters", code="invalid_name", pointer="/name")
    return name.strip()
