"""Two workspaces on one server: what belongs to one is not there for the other, on any page and by any form."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from tests.conftest import migrate
from tests.console.client import EMAIL, Console, first_person
from tests.harness import Api, ReceiverThread, ServerProcess
from tests.web.expect import ok
from tests.web.site import Site
from tracklayer.demo.receiver import Answer

NAME = "belongs_to_ours"
SECRET = "secret_of_ours"
MAKE = ("--name", "them", "--scope", "admin", "--workspace", "other", "--json")


class Two:
    """A server with a destination, a dead letter, a secret, a key and a replay of ours, and somebody of theirs."""

    def __init__(self, server: ServerProcess, receiver: ReceiverThread, their_key: str) -> None:
        self.ours, self.theirs = first_person(server), Console(server.url)
        api, their_api = Api(server.url, server.key), Api(server.url, their_key)
        receiver.script(f"/{NAME}", Answer(status=401))
        site = Site(api, receiver, NAME)
        destination = site.create(signing={"secret": "a-signing-secret-of-ours"})
        dead = site.kill(event_id="an-event-of-ours", user_id="a-user-of-ours")
        ok(api.put(f"/v1/secrets/{SECRET}", {"value": "a value of ours"}))
        suppression = ok(api.post(f"/v1/destinations/{destination['id']}/suppressions", {"reason": "ours"}), 201)
        key = ok(api.post("/v1/api-keys", {"name": "key of ours", "scopes": ["events:read"]}), 201)
        (person,) = ok(api.get("/v1/people"))["data"]
        replay = self.ours.post("/dead-letters/replay", {"cause": "no-such-cause"}).location.rpartition("/")[2]
        self.api = api
        self.ids = {
            "destination": destination["id"],
            "delivery": dead["id"],
            "suppression": suppression["id"],
            "key": key["id"],
            "person": person["id"],
            "replay": replay,
        }
        link = ok(their_api.post("/v1/people/invitations", {"email": "them@example.com"}), 201)["url"]
        assert self.theirs.join(link, email=None).status == 303


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    data_dir = tmp_path_factory.mktemp("two")
    asyncio.run(migrate(f"sqlite:///{data_dir}/tracklayer.db"))
    server = ServerProcess(data_dir)
    with ReceiverThread() as receiver:
        made = subprocess.run(
            [sys.executable, "-m", "tracklayer", "keys", "create", *MAKE],
            env={**os.environ, "TRACKLAYER_DATA_DIR": str(data_dir), "TRACKLAYER_ADMIN_KEY": server.key},
            capture_output=True,
            check=True,
        )
        with server:
            yield Two(server, receiver, json.loads(made.stdout)["key"])


DRAFT = {"name": "d", "url": "http://127.0.0.1/x", "attempts": "1", "backoff": "2s"}
TABS = (
    "",
    "/edit",
    "/deliveries",
    "/dead-letters",
    "/versions",
    "/versions/1",
    "/signing",
    "/suppressions",
    "/settings",
)
NOT_THERE = (
    *(f"/settings/destinations/{{destination}}{tab}" for tab in TABS),
    "/deliveries/{delivery}",
    "/deliveries/{delivery}/row",
    "/deliveries/{delivery}/request?version=1",
    "/dead-letters/replays/{replay}",
    "/events/an-event-of-ours",
    "/events?id=an-event-of-ours",
)
FORMS: Mapping[str, dict[str, str]] = {
    "/settings/destinations/{destination}/pause": {},
    "/settings/destinations/{destination}/resume": {},
    "/settings/destinations/{destination}/edit": {"action": "save", "name": "x", "url": "http://127.0.0.1/x"},
    "/settings/destinations/{destination}/edit/look": {},
    "/settings/destinations/{destination}/versions/1/restore": {},
    "/settings/destinations/{destination}/signing/rotate": {"overlap": "1h"},
    "/settings/destinations/{destination}/suppressions": {"reason": "x"},
    "/settings/destinations/{destination}/suppressions/{suppression}/lift": {},
    "/settings/destinations/{destination}/delete": {"name": NAME},
    "/deliveries/{delivery}/replay": {},
    "/deliveries/{delivery}/discard": {"reason": "x"},
    "/dead-letters/replays/{replay}/cancel": {},
    "/settings/api-keys/{key}/revoke": {},
    "/settings/secrets/secret_of_ours/delete": {},
    "/settings/workspace/people/{person}/remove": {},
}
LISTS = (
    "/events",
    "/events?q=an-event-of-ours",
    "/deliveries",
    "/deliveries?destination_id={destination}",
    "/deliveries?event_id=an-event-of-ours",
    "/dead-letters",
    "/dead-letters?destination_id={destination}&cause=401",
    "/settings/destinations",
    "/settings/destinations/new/paths",
    "/settings/destinations/new/values?path=event_name",
    "/settings/api-keys",
    "/settings/secrets",
    "/settings/workspace",
    "/audit",
    "/audit?target={destination}",
)


@pytest.mark.parametrize("path", NOT_THERE)
def test_a_page_of_another_workspace_is_not_found(two: Two, path: str) -> None:
    address = path.format(**two.ids)
    assert two.theirs.get(address).status == 404
    assert two.theirs.drawer(address).status == 404
    assert two.ours.get(address).status == 200


@pytest.mark.parametrize("path", FORMS)
def test_a_form_for_another_workspace_changes_nothing(two: Two, path: str) -> None:
    before = ok(two.api.get("/v1/audit"))["data"]
    answer = two.theirs.post(path.format(**two.ids), FORMS[path])
    assert answer.status == 404
    assert NAME not in answer.text
    assert ok(two.api.get("/v1/audit"))["data"] == before


def test_dead_letters_of_another_workspace_are_neither_replayed_nor_compared_nor_discarded(two: Two) -> None:
    chosen = {"destination_id": two.ids["destination"], "reason": "x"}
    assert "0 would be sent" in two.theirs.post("/dead-letters/compare", chosen).words
    replay = two.theirs.post("/dead-letters/replay", chosen)
    assert "0 of 0" in two.theirs.follow(replay).words
    assert two.theirs.post("/dead-letters/discard", chosen).status == 303
    assert ok(two.api.get(f"/v1/deliveries/{two.ids['delivery']}"))["state"] == "dead"


@pytest.mark.parametrize("path", LISTS)
def test_no_list_shows_what_another_workspace_has(two: Two, path: str) -> None:
    page = two.theirs.get(path.format(**two.ids))
    assert page.status == 200
    assert not [each for each in (NAME, SECRET, "key of ours", EMAIL, "a-user-of-ours") if each in page.text]


def test_an_event_of_another_workspace_is_no_sample_of_the_editor(two: Two) -> None:
    form = DRAFT | {"sample": "event:an-event-of-ours"}
    page = two.theirs.post("/settings/destinations/new/look", form, htmx=True)
    assert "There is no event an-event-of-ours any more" in page.words
    assert "a-user-of-ours" not in page.text


def test_a_secret_of_another_workspace_is_not_used(two: Two) -> None:
    form = DRAFT | {"headers": '{"X-A": "{{secrets.secret_of_ours}}"}'}
    page = two.theirs.post("/settings/destinations/new/look", form, htmx=True)
    assert "There is no secret secret_of_ours yet" in page.words
