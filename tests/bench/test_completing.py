"""What the bench says of the cost of making events whole; and that a shop's events are events."""

from __future__ import annotations

import json
import time

from bench import completing, shop
from bench.completing import Measured
from tracklayer.model.event import Event
from tracklayer.sources.native import InputLimits, parse_batch


def measured(on: list[float], switched: list[float], way: str = "single") -> Measured:
    cpu = {"on": on, "switched": switched, "bare": on}
    return Measured(way=way, cpu=cpu, rate={server: [1 / each for each in cpu[server]] for server in cpu})


def test_the_speed_is_the_median_of_the_rounds_each_beside_its_own() -> None:
    found = measured([4.0, 100.0, 4.0], [3.0, 99.0, 1.0])
    assert found.speed("switched") == 0.75
    assert found.speed_seen("switched") == 0.75
    assert found.speed("bare") == 1.0


def test_each_way_of_sending_says_whether_it_meets_the_aim() -> None:
    fast, slow = measured([4.0], [3.0]), measured([4.0], [2.0], "batch")
    assert completing.page([fast]).endswith("aim: 0.75 of `switched`, by CPU: single: met")
    assert completing.page([fast, slow]).endswith("aim: 0.75 of `switched`, by CPU: single: met; batch: missed")


def test_what_a_shop_sends_is_taken_and_one_event_in_twenty_brings_traits() -> None:
    body = json.dumps({"events": shop.events("r", 200)}).encode()
    parsed = parse_batch(body, now=time.time(), new_id=lambda: "new", limits=InputLimits())
    events = [each for each in parsed if isinstance(each, Event)]
    assert len(events) == 200
    assert sum(event.event_name == "identify" for event in events) == 10
