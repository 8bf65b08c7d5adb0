"""What a row of a list of deliveries says beside what is stored with the delivery."""

from __future__ import annotations

from typing import NamedTuple

from tracklayer.flow.engine import Engine
from tracklayer.model.delivery import DeliveryState
from tracklayer.model.destination import DestinationStatus
from tracklayer.service import Service
from tracklayer.store.history import StoredDelivery
from tracklayer.web.console.words import state_of

SOON = 60.0  # seconds


class RowFacts(NamedTuple):
    """Of the destinations of a workspace, by their ids; one that is deleted is in neither."""

    names: dict[str, str]
    held: dict[str, str]  # those that send nothing now: `paused`, `draft`
    engine: Engine
    now: float

    def is_sending(self, row: StoredDelivery) -> bool:
        """Whether a delivery is on its way right now."""
        return self.engine.is_sending(row.destination_id, row.id)

    def is_moving(self, row: StoredDelivery) -> bool:
        """Whether a delivery is on its way, or will be soon: whoever looks at it waits for what becomes of it."""
        if row.state is not DeliveryState.PENDING or row.destination_id not in self.names:
            return False
        return self.is_sending(row) or (row.due_at <= self.now + SOON and row.destination_id not in self.held)

    def mark(self, row: StoredDelivery) -> str:
        """How far a delivery is: a page that follows it has nothing to show anew until this changes."""
        return f"{state_of(row, sending=self.is_sending(row))}.{row.attempts}.{self.is_moving(row):d}"


def row_facts(service: Service, workspace_id: str) -> RowFacts:
    """The facts that `deliveries/table.html` asks for."""
    every = service.destinations.all(workspace_id)
    return RowFacts(
        names={each.id: each.plan.config.name for each in every},
        held={
            each.id: each.record.status.value for each in every if each.record.status is not DestinationStatus.ACTIVE
        },
        engine=service.engine,
        now=service.clock.now(),
    )
