"""Why somebody did something: what the log and the audit trail keep of it."""

from __future__ import annotations

from tracklayer.errors import Invalid

LONGEST = 500  # characters: it stands at each of the deliveries that it is given for


def checked_reason(reason: str, asked: str) -> str:
    """The reason without blanks around it. Raises `Invalid` without one, saying what was `asked`, or for a long one."""
    told = reason.strip()
    if not told:
        raise Invalid(asked, code="missing_field", pointer="/reason")
    if len(told) > LONGEST:
        detail = f"the reason has {len(told)} characters: expected at most {LONGEST}"
        raise Invalid(detail, code="invalid_reason", pointer="/reason")
    return told
