"""Many processes on one PostgreSQL: what holds for one holds for all of them together."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from tests.console.client import first_person
from tests.console.test_stream import listening, message, opened
from tests.fleet import api_of, fleet, host
from tests.harness import Api, ReceiverThread, wait_until
from tests.system.test_rate_limit import EVENTS, WINDOW, arrivals, usual_in_a_window
from tests.traffic import event, event_ids, made, most_within, send_all
from tracklayer.demo.receiver import Answer, Recorded


@pytest.mark.timeout(120)
def test_four_workers_keep_one_rate_limit_together(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    with fleet(tmp_path, fresh_postgres, ["api", "worker", "worker", "worker", "worker"]) as (entrance, *_):
        api = api_of(entrance)
        made(api, "limited", receiver.url + "/many/limited", rate_limit={"events_per_second": 25})
        send_all(api, [f"ord_{number}" for number in range(EVENTS)])
        receiver.wait_for("/many/limited", EVENTS, deadline=60)

    times = arrivals(receiver.on("/many/limited"))
    assert most_within(WINDOW, times) <= 25 * WINDOW + 25
    assert usual_in_a_window(times) >= 25 * WINDOW * 0.95
    assert set(event_ids(receiver.on("/many/limited")).values()) == {1}


@pytest.mark.timeout(120)
def test_a_users_events_arrive_in_order_over_all_workers_and_a_failing_one_holds_only_its_own_user(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    users, each = 12, 10
    path = "/many/ordered"
    with fleet(tmp_path, fresh_postgres, ["all", "all", "worker"]) as (one, two, _):
        apis = [api_of(one), api_of(two)]
        receiver.script("/many/broken", Answer(503))
        made(apis[0], "ordered", receiver.url + path, ordering="per_user", filter={"properties.kind": "good"})
        made(
            apis[0],
            "broken",
            receiver.url + "/many/broken",
            ordering="per_user",
            filter={"user_data.external_id": ["u_0", "u_1"]},
            retry={"attempts": 1, "backoff": "1m"},
        )
        wait_until(lambda: len(apis[1].get("/v1/destinations").body["data"]) == 2, what="the other host to know")
        for number in range(each):
            for user in range(users):  # one after the other, each to another host than the one before
                answer = apis[(number + user) % 2].post(
                    "/v1/events",
                    event(f"u_{user}_{number}", user_data={"external_id": f"u_{user}"}, properties={"kind": "good"}),
                )
                assert answer.status == 200, answer
        receiver.wait_for(path, users * each, deadline=60)
        held = [_event_id(request) for request in receiver.on("/many/broken")]

    arrived: dict[str, list[int]] = defaultdict(list)
    for request in receiver.on(path):
        whose, _, which = _event_id(request).rpartition("_")
        arrived[whose].append(int(which))
    assert arrived == {f"u_{user}": list(range(each)) for user in range(users)}
    assert sorted(held) == ["u_0_0", "u_1_0"]  # the first of each user is retried later, and the others wait for it


def test_what_one_host_is_told_all_hosts_know(tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread) -> None:
    with fleet(tmp_path, fresh_postgres, ["api", "api", "worker"]) as (one, two, _):
        here, there = api_of(one), api_of(two)
        key = here.post("/v1/api-keys", {"name": "shop", "scopes": ["events:write"]}).body["key"]
        shop = Api(two.url, key)
        wait_until(lambda: shop.post("/v1/events", event("first")).status == 200, what="the key to be known")
        here.put("/v1/secrets/token", {"value": "s3cr3t"})
        destination = made(
            here, "d", receiver.url + "/many/told", transport={"headers": {"authorization": "Bearer {{secrets.token}}"}}
        )
        wait_until(lambda: there.get(f"/v1/destinations/{destination}").status == 200, what="the destination")
        assert there.post("/v1/events", event("second")).status == 200
        (request,) = receiver.wait_for("/many/told")
        assert ("authorization", "Bearer s3cr3t") in [(name.lower(), value) for name, value in request.headers]

        assert there.post(f"/v1/destinations/{destination}/pause").status == 200
        wait_until(lambda: here.get(f"/v1/destinations/{destination}").body["status"] == "paused", what="the pause")
        assert here.post("/v1/events", event("third")).status == 200
        assert here.post("/v1/events", event("third")).body["dedup_status"] == "duplicate"
        assert there.post("/v1/events", event("third")).body["dedup_status"] == "duplicate"
        assert here.post(f"/v1/destinations/{destination}/resume").status == 200
        receiver.wait_for("/many/told", 2)
        for each in (here, there):
            found = each.get("/v1/deliveries", event_id="third").body["data"]
            assert [row["destination_id"] for row in found] == [destination]


def test_a_receiver_that_asks_for_a_pause_gets_it_from_every_worker(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    path = "/many/pause"
    receiver.script(path, Answer(429, headers=(("Retry-After", "3"),)), Answer(200))
    with fleet(tmp_path, fresh_postgres, ["api", "worker", "worker"]) as (entrance, *_):
        api = api_of(entrance)
        made(api, "d", receiver.url + path, retry={"attempts": 3, "backoff": "100ms"})
        assert api.post("/v1/events", event("asked")).status == 200
        receiver.wait_for(path)
        send_all(api, [f"later_{number}" for number in range(20)])
        receiver.wait_for(path, 22)

    first, *others = arrivals(receiver.on(path))
    soon = [at - first for at in others if at - first < 2.9]
    assert len(soon) <= 8, soon  # what was on its way before the announcement came


def test_a_destination_with_three_waiting_does_not_wait_for_one_with_a_mountain(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    with fleet(tmp_path, fresh_postgres, ["api", "worker"]) as (entrance, _):
        api = api_of(entrance)
        made(api, "mountain", receiver.url + "/many/mountain", filter={"event_name": "purchase"})
        made(api, "three", receiver.url + "/many/three", filter={"event_name": "lead"})
        for start in range(0, 5_000, 500):
            send_all(api, [f"m_{number}" for number in range(start, start + 500)])
        send_all(api, ["r_1", "r_2", "r_3"], event_name="lead")
        done = len(receiver.on("/many/mountain"))
        receiver.wait_for("/many/three", 3)
        assert len(receiver.on("/many/mountain")) - done < 2_500
        receiver.wait_for("/many/mountain", 5_000, deadline=60)
    assert set(event_ids(receiver.on("/many/mountain")).values()) == {1}


def test_a_worker_answers_those_who_watch_it_and_nobody_else(tmp_path: Path, fresh_postgres: str) -> None:
    with fleet(tmp_path, fresh_postgres, ["worker"]) as (worker,):
        api = api_of(worker)
        for path in ("/healthz", "/readyz", "/metrics"):
            assert api.get(path).status == 200, path
        for answer in (api.post("/v1/events", event("e")), api.get("/v1/destinations"), api.get("/")):
            assert answer.status == 404
            assert answer.body["code"] == "worker"


def test_a_host_with_another_master_key_is_told_so(tmp_path: Path, fresh_postgres: str) -> None:
    with fleet(tmp_path, fresh_postgres, ["api"]):
        other = host(tmp_path / "other", fresh_postgres, "worker", master_key="A" * 43 + "=")
        other.start(ready=False)
        assert other.process is not None
        assert other.process.wait(30) != 0
        assert "TRACKLAYER_MASTER_KEY is another master key than the one" in other.log_text()


def test_hosts_that_start_at_once_make_one_schema_one_workspace_and_one_key(
    tmp_path: Path, empty_postgres: str
) -> None:
    hosts = [host(tmp_path / f"h{number}", empty_postgres, "api") for number in range(3)]
    try:
        for each in hosts:
            each.start(ready=False)
        for each in hosts:
            wait_until(each.is_ready, 60, what="the host to be ready")
        keys = api_of(hosts[0]).get("/v1/api-keys").body["data"]
        assert [key["name"] for key in keys] == ["TRACKLAYER_ADMIN_KEY"]
        assert api_of(hosts[2]).get("/v1/destinations").status == 200
    finally:
        for each in hosts:
            each.kill()


def _event_id(request: Recorded) -> str:
    return next(value for name, value in request.headers if name.lower() == "x-tracklayer-event-id")


def test_who_watches_one_host_sees_what_a_worker_on_another_one_does(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    with fleet(tmp_path, fresh_postgres, ["api", "worker"]) as (entrance, _):
        api = api_of(entrance)
        made(api, "d", receiver.url + "/many/watched")
        with listening(first_person(entrance)) as stream:
            opened(stream)
            for number in range(50):  # one message each says that it was made, which the api itself knows
                assert api.post("/v1/events", event(f"w_{number}")).status == 200
                receiver.wait_for("/many/watched", number + 1)
            told = [message(stream)["admitted"] for _ in range(80)]
    assert not all(told)  # some moved on, which the worker alone knows
