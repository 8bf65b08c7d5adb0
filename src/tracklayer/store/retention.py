"""What may be removed: by age, and never what waits, nor its event; dead letters have an age of their own.

A delivery ages from when it last changed, what belongs to it goes by its delivery, and an event stays for as long as
any of its deliveries does. None of it turns back: what may go once is never needed again (only a dead letter past its
age can be revived, so whoever deletes it looks again). That is why a table can be looked at first, outside any lock.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Select, and_, literal, or_, select

from tracklayer.identity import first_id
from tracklayer.model.delivery import DeliveryState
from tracklayer.settings import HOUR, Settings
from tracklayer.store.tables import deliveries

BESIDE = HOUR  # seconds that the ids of an event and of its deliveries lie apart at the most: one accept makes them all


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is kept, in seconds."""

    events: float
    attempts: float
    bodies: float
    dead_letters: float

    def cutoffs(self, now: float) -> Cutoffs:
        """What was before."""
        return Cutoffs(now - self.events, now - self.attempts, now - self.bodies, now - self.dead_letters)


class Cutoffs(NamedTuple):
    """What is older than this (unix seconds) may go."""

    events: float
    attempts: float
    bodies: float
    dead_letters: float

    def of(self, table: str) -> float:
        """Behind this, nothing of `table` goes."""
        return max(self.events, {"attempts": self.attempts, "kept_requests": self.bodies}.get(table, self.events))


def retention(settings: Settings) -> Retention:
    """As the operator has decided, where nothing else needs it for longer."""
    events = max(settings.retention_events, settings.dedup_window + HOUR)  # an id in the window has its event
    return Retention(
        events=events,
        attempts=settings.retention_attempts,
        bodies=settings.retention_bodies,
        dead_letters=max(events, settings.retention_dead_letters),
    )


def staying(table: str, cutoffs: Cutoffs, *, foreseen: bool = False) -> Select[Any]:
    """The keys of rows of `table` that stay although their age would let them go: to be narrowed to some of them.

    They follow from the deliveries that there are; or, `foreseen`, from those that will be there in the end.
    """
    column = deliveries.c
    if table == "deliveries":
        return select(column.id).where(delivery_stays(cutoffs))
    there = [delivery_stays(cutoffs)] if foreseen else []
    if table in ("events", "event_users"):
        return select(column.event_pk).where(*there).distinct()
    young = {"attempts": cutoffs.attempts, "kept_requests": cutoffs.bodies}[table]
    needed = or_(_is(DeliveryState.PENDING), _is(DeliveryState.DEAD), _changed_since(young))
    return select(column.id).where(needed, *there)


def delivery_stays(cutoffs: Cutoffs) -> ColumnElement[bool]:
    """Which deliveries stay."""
    dead = _is(DeliveryState.DEAD)
    return or_(
        _is(DeliveryState.PENDING),
        and_(dead, _changed_since(cutoffs.dead_letters)),
        and_(~dead, _changed_since(cutoffs.events)),
    )


def _changed_since(cutoff: float) -> ColumnElement[bool]:
    return or_(deliveries.c.updated_at >= cutoff, deliveries.c.id >= first_id("dlv", cutoff))


def _is(state: DeliveryState) -> ColumnElement[bool]:
    """Spelled out in the statement, so that a planner sees that a partial index serves it."""
    return deliveries.c.state == literal(state.value, literal_execute=True)
