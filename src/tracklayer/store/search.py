"""Finding events: by id, by user, by name; newest first, each page a bounded piece of work."""

from __future__ import annotations

from tracklayer.model.event import Event

USER_FIELDS = ("external_id", "anonymous_id", "email", "phone")  # of user_data: what an event is found by
LONGEST_USER = (
    320  # characters; an e-mail address has no more (RFC 3696 erratum 1690), and an index is no place for prose
)


def user_key(text: str) -> str:
    """What the index holds for one of `USER_FIELDS`: an e-mail address in lower case, anything else as it is."""
    text = text.strip()
    return text.lower() if "@" in text else text


def user_keys(event: Event) -> set[str]:
    """The texts by which the user of an event is found."""
    known = [value for field in USER_FIELDS if type(value := event.user_data.get(field)) is str]
    return {key for value in known if 0 < len(key := user_key(value)) <= LONGEST_USER}
