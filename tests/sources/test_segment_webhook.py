from __future__ import annotations

from typing import Any

import pytest

from tracklayer.errors import Invalid
from tracklayer.sources.segment import SegmentSettings
from tracklayer.sources.segment_webhook import map_webhook

CALL: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m1",
    "userId": "u1",
    "timestamp": "2026-05-05T10:00:00Z",
    "originalTimestamp": "2026-05-05T09:00:00Z",
    "sentAt": "2026-05-05T09:00:05Z",
    "receivedAt": "2026-05-05T10:00:05Z",
}


def test_the_time_that_segment_has_put_right_is_not_put_right_again() -> None:
    fields = map_webhook(CALL, SegmentSettings())
    assert fields["occurred_at"] == "2026-05-05T10:00:00Z"
    assert "sent_at" not in fields
    assert fields["context"] == {"extra": {"receivedAt": CALL["receivedAt"]}}


def test_without_it_the_users_own_time_counts() -> None:
    fields = map_webhook({name: value for name, value in CALL.items() if name != "timestamp"}, SegmentSettings())
    assert fields["occurred_at"] == "2026-05-05T09:00:00Z"
    assert "sent_at" not in fields


def test_a_list_of_calls_is_refused_for_only_its_first_is_signed() -> None:
    with pytest.raises(Invalid, match="batching") as caught:
        map_webhook([CALL], SegmentSettings())
    assert caught.value.code == "batch_not_signed"
