"""Replays in the background over the API: started, watched, cancelled."""

from __future__ import annotations

from tests.harness import Api, wait_until
from tests.web.expect import ok, problem
from tests.web.site import Site
from tracklayer.demo.receiver import Answer

REPLAY = {
    *("id", "total", "done", "skipped", "mode", "per_second", "started_at", "ended_at", "cancelled", "author"),
}


def test_a_paced_replay_is_started_and_watched_to_its_end(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(401), Answer(401), Answer(200))
    made = site.create()
    dead = [site.kill(), site.kill()]
    wanted = {"destination_id": made["id"], "mode": "as_sent", "per_second": 20}
    started = ok(api.post("/v1/dead-letters/replay", wanted), 202)
    assert started == {"id": started["id"], "total": 2, "count": 2}
    path = f"/v1/replays/{started['id']}"
    ended = wait_until(lambda: (found := ok(api.get(path)))["ended_at"] and found, what="the end of the replay")
    assert ended.keys() == REPLAY
    assert (ended["total"], ended["done"], ended["skipped"], ended["cancelled"]) == (2, 2, 0, False)
    assert (ended["mode"], ended["per_second"]) == ("as_sent", 20)
    for delivery in dead:
        site.settled(delivery["event_id"], "delivered")
    assert ended in ok(api.get("/v1/replays"))["data"]
    assert ok(api.post(f"{path}/cancel")) == ended


def test_a_cancelled_replay_leaves_the_rest_dead(api: Api, site: Site) -> None:
    site.receiver.script(site.path, Answer(401), Answer(401), Answer(200))
    made = site.create()
    first, second = site.kill(), site.kill()
    started = ok(api.post("/v1/dead-letters/replay", {"destination_id": made["id"], "per_second": 0.01}), 202)
    site.settled(first["event_id"], "delivered")
    cancelled = ok(api.post(f"/v1/replays/{started['id']}/cancel"))
    assert (cancelled["done"], cancelled["cancelled"], cancelled["ended_at"] is None) == (1, True, False)
    assert site.delivery(second["event_id"])["state"] == "dead"


def test_an_unknown_replay_is_404(api: Api) -> None:
    problem(api.get("/v1/replays/rpl_none"), 404, "not_found", says="rpl_none")
    problem(api.post("/v1/replays/rpl_none/cancel"), 404, "not_found")
