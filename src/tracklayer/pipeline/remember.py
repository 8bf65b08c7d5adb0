"""What an event says of its user or group that is to be remembered: the traits of `identify` and `group`."""

from __future__ import annotations

from tracklayer.model.event import Event
from tracklayer.model.moment import parse_rfc3339
from tracklayer.model.profile import ProfileUpdate, group_key, profile_keys


def tells_of_user(event: Event) -> bool:
    """Whether `profile_updates` may make any of it."""
    return event.event_name in ("identify", "group")


def profile_updates(event: Event, now: float) -> list[ProfileUpdate]:
    """The updates that a normalized event makes, before anything is added to it; `now` is unix seconds.

    An `identify` is remembered under both of its ids, so that what the same browser does next without being signed in
    is known, too; one without traits still tells who is in that browser now. A `group` puts its user into the group.
    What is said to happen in the future happens now.
    """
    if not tells_of_user(event):
        return []
    at = min(parse_rfc3339(event.occurred_at), now)
    users = profile_keys(event.user_data)
    owners = (None, *users[:-1])[: len(users)]  # of what is kept under the second key, the browser's
    if event.event_name == "identify":
        said = event.context.get("traits")
        traits = said if isinstance(said, dict) and said else None
        named = [
            ProfileUpdate(user_key=key, traits=traits, owner=owner, at=at)
            for key, owner in zip(users, owners, strict=True)
        ]
        return [each for each in named if each.traits is not None or each.owner is not None]
    group = event.context.get("group")
    group_id = group.get("id") if isinstance(group, dict) else None
    of_group = group_key(group_id)
    if of_group is None or not isinstance(group, dict):
        return []
    joined = [
        ProfileUpdate(user_key=key, group=group_id, owner=owner, at=at)
        for key, owner in zip(users, owners, strict=True)
    ]
    traits = group.get("traits")
    return [*joined, ProfileUpdate(user_key=of_group, traits=traits, at=at)] if isinstance(traits, dict) else joined
