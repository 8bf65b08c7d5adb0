"""What networks and receivers do, over real sockets: what is tried again, what is not, and where nothing is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Api, ReceiverThread, ServerProcess, wait_until
from tests.traffic import event, header, made
from tracklayer.demo.receiver import Answer, Behaviour, CloseMidBody, Drip, Hang, Raw, Reset

QUICK = {"attempts": 3, "backoff": "100ms", "jitter": 0}


def detail(api: Api, event_id: str, state: str) -> dict[str, Any]:
    """The one delivery of an event with its attempts, once it is in `state`."""

    def look() -> str | None:
        (delivery,) = api.get(f"/v1/events/{event_id}").body["deliveries"]
        return str(delivery["id"]) if delivery["state"] == state else None

    delivery_id = wait_until(look, what=f"the delivery of {event_id} to be {state}")
    return dict(api.get(f"/v1/deliveries/{delivery_id}").body)


@pytest.mark.parametrize(
    "name, behaviour, kind",
    [
        ("reset", Reset(), "reset"),
        ("mid-body", CloseMidBody(), "reset"),
        ("hang", Hang(), "timeout"),
        ("drip", Drip(bytes_per_second=5), "timeout"),
        ("drip-head", Drip(bytes_per_second=5, from_head=True), "timeout"),
        ("garbage", Raw(b"I am no web server\r\n\r\n"), "protocol"),
        ("empty", Raw(b""), "reset"),
        ("429", Answer(429), None),
        ("503", Answer(503), None),
    ],
)
def test_a_receiver_that_misbehaves_is_tried_again(
    api: Api, receiver: ReceiverThread, name: str, behaviour: Behaviour, kind: str | None
) -> None:
    path, event_name = f"/misbehaves-{name}", f"misbehaves_{name}"
    receiver.script(path, behaviour, behaviour, Answer(200))
    made(
        api,
        name,
        receiver.url + path,
        retry=QUICK,
        filter={"event_name": [event_name]},
        transport={"timeout": "600ms"},
    )
    assert api.post("/v1/events", event(f"ord_{name}", event_name=event_name)).status == 200

    delivery = detail(api, f"ord_{name}", "delivered")

    assert [(each["error"] or {}).get("kind") for each in delivery["attempts"]] == [kind, kind, None]
    requests = receiver.on(path)
    assert [header(request, "X-TrackLayer-Attempt") for request in requests] == ["1", "2", "3"]
    assert len({header(request, "X-TrackLayer-Delivery-Id") for request in requests}) == 1


def test_a_receiver_that_is_down_gets_the_event_when_it_is_back(api: Api) -> None:
    with ReceiverThread() as down:
        made(
            api,
            "down",
            down.url + "/down",
            retry={"attempts": 50, "backoff": "100ms"},
            filter={"event_name": ["to_the_down"]},
        )
        down.close()
        api.post("/v1/events", event("ord_down", event_name="to_the_down"))
        wait_until(lambda: api.get("/v1/events/ord_down").body["deliveries"][0]["attempt_count"] >= 2, what="retries")
        down.open()
        down.wait_for("/down")
        attempts = detail(api, "ord_down", "delivered")["attempts"]
        assert {each["error"]["kind"] for each in attempts[:-1]} == {"connect"}


def test_a_tls_handshake_that_fails_is_tried_again(api: Api, receiver: ReceiverThread) -> None:
    made(
        api,
        "tls",
        receiver.url.replace("http://", "https://") + "/tls",
        retry=QUICK | {"attempts": 1},
        filter={"event_name": ["over_tls"]},
    )
    api.post("/v1/events", event("ord_tls", event_name="over_tls"))
    attempts = detail(api, "ord_tls", "dead")["attempts"]
    assert [each["error"]["kind"] for each in attempts] == ["tls", "tls"]


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(api: Api, receiver: ReceiverThread, code: int) -> None:
    path, event_name = f"/redirects-{code}", f"redirected_{code}"
    receiver.script(path, Answer(code, headers=(("Location", f"{receiver.url}/elsewhere"),)))
    made(api, path, receiver.url + path, retry=QUICK, filter={"event_name": [event_name]})
    api.post("/v1/events", event(f"ord_{code}", event_name=event_name))
    dead = detail(api, f"ord_{code}", "dead")
    assert (dead["attempt_count"], dead["code"]) == (1, code)
    assert "redirects are never followed" in dead["reason"]
    assert receiver.on("/elsewhere") == []


@pytest.mark.parametrize("code", [401, 403, 404])
def test_a_refusal_is_not_repeated(api: Api, receiver: ReceiverThread, code: int) -> None:
    path, event_name = f"/refuses-{code}", f"refused_{code}"
    receiver.script(path, Answer(code), Answer(200))
    made(api, path, receiver.url + path, retry=QUICK, filter={"event_name": [event_name]})
    api.post("/v1/events", event(f"ord_{code}", event_name=event_name))
    assert detail(api, f"ord_{code}", "dead")["attempt_count"] == 1
    assert len(receiver.on(path)) == 1


# Server-side request forgery: a server that allows no private network


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server as it comes, without TRACKLAYER_ALLOW_NETWORKS."""
    with ServerProcess(tmp_path_factory.mktemp("guarded") / "data", allow_networks="") as running:
        yield Api(running.url, running.key)


@pytest.mark.parametrize(
    "host, address",
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.1", "127.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("[::1]", "::1"),
        ("[::ffff:127.0.0.1]", ("::ffff:127.0.0.1", "::ffff:7f00:1")),  # as Python 3.13 writes it, and as 3.11 does
        ("169.254.169.254", "169.254.169.254"),
        ("10.1.2.3", "10.1.2.3"),
        ("localhost", ("127.0.0.1", "::1")),
    ],
)
def test_a_private_address_is_never_contacted(
    guarded: Api, receiver: ReceiverThread, host: str, address: str | tuple[str, str]
) -> None:
    before, port = receiver.receiver.connections_taken, receiver.receiver.port
    name = f"to_{host}"
    made(guarded, name, f"http://{host}:{port}/ssrf", retry=QUICK, filter={"event_name": [name]})
    guarded.post("/v1/events", event(f"ord_{host}", event_name=name))

    wait_until(lambda: guarded.get("/v1/dead-letters", event_name=name).body["data"], what="a dead letter")
    (row,) = guarded.get("/v1/dead-letters", event_name=name).body["data"]
    letter = guarded.get(f"/v1/dead-letters/{row['id']}").body

    assert letter["error"]["kind"] == "refused_address"
    assert any(each in letter["error"]["detail"] for each in ([address] if isinstance(address, str) else address))
    assert "TRACKLAYER_ALLOW_NETWORKS" in letter["error"]["detail"]
    assert letter["attempt_count"] == 1
    assert receiver.receiver.connections_taken == before


def test_the_path_of_the_allowed_networks_is_the_only_way_in(tmp_path: Path, receiver: ReceiverThread) -> None:
    with ServerProcess(tmp_path / "data", allow_networks="127.0.0.2/32") as running:
        api = Api(running.url, running.key)
        made(api, "loopback", receiver.url + "/not-allowed")
        api.post("/v1/events", event("ord_1"))
        assert "127.0.0.1" in str(detail(api, "ord_1", "dead")["attempts"][0]["error"]["detail"])
        assert receiver.on("/not-allowed") == []
