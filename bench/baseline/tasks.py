"""The worker: shape, sign, post; again with backoff when that fails. `celery -A bench.baseline.tasks worker`."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from functools import cache
from typing import Any

import requests
from celery import Celery

from bench.events import SIGNING_SECRET, WEBHOOK_TOKEN

app = Celery("bench", broker=os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/0"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
)


@cache
def session() -> requests.Session:
    """The keep-alive connection of this worker process."""
    return requests.Session()


@app.task(autoretry_for=(requests.RequestException,), retry_backoff=2, max_retries=5)
def deliver(event: dict[str, Any]) -> None:
    """One event to the receiver. Raises (and so retries) for a lost connection, a timeout and any 4xx or 5xx."""
    user = event["user_data"]
    properties = event["properties"]
    body = json.dumps(
        {
            "type": event["event_name"],
            "timestamp": event["occurred_at"],
            "user": {"email_hash": user.get("email_hash"), "external_id": user.get("external_id")},
            "order_id": properties.get("order_id"),
            "value": str(properties.get("value")),
            "currency": properties.get("currency"),
        }
    ).encode()
    digest = hmac.new(SIGNING_SECRET.encode(), body, hashlib.sha256).hexdigest()
    answer = session().post(
        os.environ["BENCH_RECEIVER_URL"],
        data=body,
        headers={
            "Content-Type": "application/json",
            "Authorization": f"Bearer {WEBHOOK_TOKEN}",
            "X-Environment": "production",
            "X-TrackLayer-Event-Id": event["event_id"],
            "X-TrackLayer-Signature": f"sha256={digest}",
        },
        timeout=10,
    )
    answer.raise_for_status()
