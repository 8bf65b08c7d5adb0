"""The front: validate, enqueue, answer. `uvicorn bench.baseline.app:app`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from bench.baseline.tasks import deliver

app = FastAPI()


class Event(BaseModel):
    """What a caller may send."""

    event_id: str
    event_name: str
    occurred_at: datetime
    platform: str | None = None
    segment: list[str] = []
    user_data: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    context: dict[str, Any] = {}
    consent: dict[str, Any] = {}


class Accepted(BaseModel):
    """The answer."""

    id: str
    status: str


# `async def` although `delay` blocks: a plain `def` goes through the thread pool, which was no faster.
@app.post("/v1/events")
async def accept(event: Event) -> Accepted:
    """Enqueue the event's delivery."""
    deliver.delay(event.model_dump(mode="json"))
    return Accepted(id=event.event_id, status="accepted")


@app.get("/readyz")
async def ready() -> dict[str, str]:
    """Serving."""
    return {"status": "ready"}
