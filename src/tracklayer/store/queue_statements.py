"""What claiming, settling and giving back say to the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Update, bindparam, null, or_, select, text, update

from tracklayer.model.delivery import DeliveryState
from tracklayer.store.tables import PENDING, deliveries, events

_EARLIER = deliveries.alias("earlier")
_FIRST = (
    select(_EARLIER.c.position)
    .where(
        _EARLIER.c.destination_id == deliveries.c.destination_id,
        _EARLIER.c.order_key == deliveries.c.order_key,
        text("earlier.state = 'pending'"),  # leased or not: what is being sent is not sent yet
    )
    .order_by(_EARLIER.c.position)
    .limit(1)
    .scalar_subquery()
)
_ITS_TURN = or_(deliveries.c.order_key.is_(None), deliveries.c.position == _FIRST)
"""Whether nothing that came earlier for the same destination and user still waits.

Asked for the first position, and not whether there is a lesser one: only one index has them in order, so a plan that
was made while there was hardly anything takes that one, too.
"""

DUE_ONES = (
    select(
        deliveries.c.id,
        deliveries.c.attempts,
        deliveries.c.retries,
        deliveries.c.created_at,
        deliveries.c.as_sent,
        deliveries.c.test,
        deliveries.c.destination_id,
        events.c.body,
    )
    .join(events, (events.c.workspace_id == deliveries.c.workspace_id) & (events.c.pk == deliveries.c.event_pk))
    .where(
        deliveries.c.destination_id == bindparam("destination"),
        PENDING,
        deliveries.c.available_at <= bindparam("now"),
        _ITS_TURN,
    )
    .order_by(deliveries.c.available_at, deliveries.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=deliveries, skip_locked=True)  # what another worker is taking is no reason to wait
)


NEXT_ONE = (
    select(deliveries.c.available_at)
    .where(deliveries.c.destination_id == bindparam("destination"), PENDING, _ITS_TURN)
    .order_by(deliveries.c.available_at, deliveries.c.id)
    .limit(1)
)


def abandoned(now: float) -> Update:
    """Tests under a lease are let go."""
    return (
        update(deliveries)
        .where(PENDING, deliveries.c.lease_owner.is_not(None), deliveries.c.test)
        .values(state=DeliveryState.DISCARDED.value, reason="the server stopped during the test", updated_at=now)
    )


LEASED = {
    "of": deliveries.c.id.type,
    "new_owner": deliveries.c.lease_owner.type,
    "until": deliveries.c.available_at.type,
}


def leasing(to: Mapping[str, ColumnElement[Any]]) -> Update:
    return (
        update(deliveries)
        .where(deliveries.c.id == to["of"])
        .values(lease_owner=to["new_owner"], available_at=to["until"])
    )


SETTLED = {
    "of": deliveries.c.id.type,
    **{f"new_{name}": deliveries.c[name].type for name in ("state", "reason", "version", "attempts", "retries")},
    **{f"new_{name}": deliveries.c[name].type for name in ("status_code", "cause", "due_at")},
    "now": deliveries.c.updated_at.type,
}
"""What a settlement writes, see `queue_rows.settlement_row`."""


def settling(to: Mapping[str, ColumnElement[Any]]) -> Update:
    return (
        update(deliveries)
        .where(deliveries.c.id == to["of"])
        .values(
            state=to["new_state"],
            reason=to["new_reason"],
            version=to["new_version"],
            attempts=to["new_attempts"],
            retries=to["new_retries"],
            status_code=to["new_status_code"],
            cause=to["new_cause"],
            updated_at=to["now"],
            due_at=to["new_due_at"],
            available_at=to["new_due_at"],
            lease_owner=null(),
        )
    )


RELEASE = update(deliveries).where(PENDING).values(lease_owner=None, available_at=deliveries.c.due_at)
