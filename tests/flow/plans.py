"""Destinations and work for the tests of the delivery's steps, without a store."""

from __future__ import annotations

from typing import Any

from tracklayer.catalog import Destination, PlanLimits, compile_plan
from tracklayer.model.destination import DestinationConfig, DestinationStatus, Transport
from tracklayer.model.event import Event
from tracklayer.model.records import DestinationRecord
from tracklayer.model.work import Work

NOW = 1_770_000_000.0


def destination(
    *,
    status: DestinationStatus = DestinationStatus.ACTIVE,
    version: int = 1,
    signing_secret: str | None = None,
    previous_secret: str | None = None,
    previous_until: float | None = None,
    transport: dict[str, Any] | None = None,
    **config: Any,
) -> Destination:
    """A destination at https://receiver.test/d."""
    made = DestinationConfig(
        name="d", transport=Transport(**({"url": "https://receiver.test/d"} | (transport or {}))), **config
    )
    record = DestinationRecord(
        id="dst_1",
        workspace_id="ws_1",
        status=status,
        version=version,
        config=made,
        signing_sealed=None,
        previous_sealed=None,
        previous_until=previous_until,
        created_at=NOW,
        updated_at=NOW,
    )
    return Destination(
        record=record,
        plan=compile_plan(made, PlanLimits()),
        signing_secret=signing_secret,
        previous_secret=previous_secret,
    )


def work(number: int = 1, *, properties: dict[str, Any] | None = None, **fields: Any) -> Work:
    """A delivery of the purchase `ord_<number>`."""
    event = Event(
        event_id=f"ord_{number}",
        event_name="purchase",
        occurred_at="2026-05-05T10:30:00Z",
        received_at="2026-05-05T10:30:01Z",
        properties=properties or {},
    )
    given: dict[str, Any] = {"delivery_id": f"dlv_{number}", "destination_id": "dst_1", "event": event, "size": 100}
    return Work(**(given | fields))
