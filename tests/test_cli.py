"""The command line, in real use: against a real server, and a receiver that delivers, fails and recovers."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import migrate
from tests.harness import PATIENCE
from tests.releases import release
from tests.running import KEY, Ran, clean_environment, running_receiver, running_server, settled
from tests.running import tracklayer as run
from tracklayer import __version__
from tracklayer.client import ApiClient, Unreachable
from tracklayer.demo.receiver import Answer, Receiver
from tracklayer.settings import settings_table
from tracklayer.startup import shown_url
from tracklayer.store.schema import MIGRATIONS

FILE = """\
destinations:
  - name: crm
    transport:
      url: {url}/crm
      headers: {{Authorization: "Bearer ${{CRM_TOKEN}}"}}
    signing: {{secret: "${{CRM_SIGNING_SECRET}}"}}
    filter: {{event_name: [purchase]}}
    template: |
      {{"type": "{{{{event_name}}}}",
       "order": "{{{{properties.order_id}}}}"}}
    retry: {{attempts: 0}}
  - name: audit
    transport: {{url: "{url}/audit"}}
    filter: {{event_name: [audited]}}
"""


class World:
    """A server, a receiver, and the command line that knows both."""

    def __init__(self, url: str, receiver: Receiver, folder: Path) -> None:
        self.url = url
        self.receiver = receiver
        self.folder = folder
        self.client = ApiClient(url, KEY)

    def run(self, *arguments: str, stdin: str = "") -> Ran:
        return run(*arguments, stdin=stdin, url=self.url, api_key=KEY)

    def file(self, text: str, name: str = "destinations.yaml") -> str:
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def die(self, destination: str, order: str) -> str:
        """A dead letter of that destination, which answers 401; its delivery id."""
        self.receiver.script(f"/{destination}", Answer(401, body=b"who are you?"))
        event = {"event_name": "to_" + destination, "properties": {"order_id": order}}
        delivery = settled(self.client, self.client.post("/v1/events", event)["id"], "dead")
        return str(delivery["id"])

    def destination(self, name: str) -> str:
        """A destination that gets the events named `to_` and its name."""
        fields = {
            "name": name,
            "transport": {"url": f"{self.receiver.url}/{name}"},
            "filter": {"event_name": "to_" + name},
            "template": '{"order": "{{properties.order_id}}"}',
        }
        return str(self.client.post("/v1/destinations", fields)["id"])


@pytest.fixture(scope="module")
def module_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("cli")
    with running_receiver() as receiver, running_server(folder / "data") as server:
        world = World(server.url, receiver, folder)
        with world.client:
            yield world


@pytest.fixture
def world(module_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """The world without destinations."""
    monkeypatch.setenv("CRM_TOKEN", "crm-token-crm-token")
    monkeypatch.setenv("CRM_SIGNING_SECRET", "crm-signing-secret")
    yield module_world
    for row in list(module_world.client.rows("/v1/destinations")):
        module_world.client.call("DELETE", f"/v1/destinations/{row['id']}", query={"deliveries": "discard"})


def test_every_command_has_help_and_none_needs_a_server_for_it() -> None:
    for command in (
        (),
        ("serve",),
        ("migrate",),
        ("migrate-database",),
        ("prune",),
        ("demo",),
        *(("keys", each) for each in ("create",)),
        *(("people", each) for each in ("invite", "list")),
        *(("destinations", each) for each in ("list", "apply", "test")),
        ("events", "send"),
        *(("dead-letters", each) for each in ("list", "replay", "discard")),
    ):
        ran = run(*command, "--help")
        assert ran.status == 0, ran
        assert "Usage" in ran.out


def test_help_loads_neither_the_server_nor_the_database() -> None:
    code = (
        "import sys; sys.argv = ['tracklayer', '--help']\n"
        "from tracklayer.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('litestar', 'sqlalchemy', 'uvicorn', 'pyreqwest') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_it_tells_its_version() -> None:
    assert run("--version") == Ran(0, f"tracklayer {__version__}\n", "")


def test_every_setting_is_an_option_of_serve() -> None:
    shown = run("serve", "--help", columns="200").out
    for entry in settings_table():
        assert "--" + entry.field.replace("_", "-") in shown


def test_an_option_of_serve_wins_over_the_environment() -> None:
    ran = run("serve", "--port", "nonsense", port="1")
    assert ran.status == 2
    assert ran.err.startswith("tracklayer: port = 'nonsense' cannot be used: expected a port number")


def test_without_a_key_a_command_says_where_to_get_one() -> None:
    ran = run("destinations", "list")
    assert ran.status == 2
    assert "no API key: give --key or TRACKLAYER_API_KEY" in ran.err


def test_without_a_server_a_command_says_so() -> None:
    ran = run("destinations", "list", "--url", "http://127.0.0.1:1", api_key=KEY)
    assert ran.status == 1
    assert ran.err.startswith("tracklayer: no TrackLayer answers at http://127.0.0.1:1: ")
    assert "refused" in ran.err


def test_another_server_than_tracklayer_is_told_apart(world: World) -> None:
    ran = run("destinations", "list", url=world.receiver.url, api_key=KEY)
    assert ran.status == 1
    assert "is it TrackLayer?" in ran.err


@pytest.mark.parametrize("url", ["nonsense", "ftp://x", "http://"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    ran = run("destinations", "list", "--url", url, api_key=KEY)
    assert ran.status == 1
    assert "is not the address of a server" in ran.err


def test_a_wrong_key_is_the_servers_own_words(world: World) -> None:
    ran = run("destinations", "list", "--key", "tl_live_wrong", url=world.url)
    assert ran.status == 1
    assert "this API key is not known" in ran.err


def test_the_server_and_the_key_of_the_settings_are_the_default(world: World) -> None:
    port = str(urlsplit(world.url).port)
    assert run("destinations", "list", admin_key=KEY, port=port, host="0.0.0.0").status == 0


def test_a_file_is_planned_applied_and_applying_it_again_changes_nothing(world: World) -> None:
    world.client.post("/v1/destinations", {"name": "by hand", "transport": {"url": world.receiver.url}})
    file = world.file(FILE.format(url=world.receiver.url))

    planned = world.run("destinations", "apply", "-f", file, "--dry-run")
    assert planned.status == 0
    assert "+ create crm" in planned.out
    assert "not in the file, left alone: by hand" in planned.out
    assert [row["name"] for row in world.client.rows("/v1/destinations")] == ["by hand"]

    applied = world.run("destinations", "apply", "-f", file, "--yes")
    assert applied.status == 0
    assert applied.out.splitlines()[-2:] == ["created crm: version 1", "created audit: version 1"]

    again = world.run("destinations", "apply", "-f", file)
    assert again.status == 0
    assert again.out.splitlines()[-1] == "Nothing to change."
    assert {row["version"] for row in world.client.rows("/v1/destinations")} == {1}

    listed = world.run("destinations", "list", "--json").json
    assert {row["name"] for row in listed} == {"crm", "audit", "by hand"}
    assert "crm" in world.run("destinations", "list").out


def test_a_change_is_shown_as_a_diff_without_what_came_from_the_environment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = FILE.format(url=world.receiver.url)
    assert world.run("destinations", "apply", "--yes", "-f", world.file(text)).status == 0
    monkeypatch.setenv("CRM_TOKEN", "another-token-another")
    monkeypatch.setenv("CRM_SIGNING_SECRET", "another-signing-secret")
    file = world.file(text.replace("attempts: 0", "attempts: 7").replace('"order":', '"order_id":'))

    applied = world.run("destinations", "apply", "-f", file, "--yes")
    assert applied.status == 0
    lines = [line.strip() for line in applied.out.splitlines()]
    assert "~ update crm" in lines
    assert "= unchanged audit" in lines
    assert "retry.attempts: 0 → 7" in lines
    assert '- "order": "{{properties.order_id}}"}' in lines
    assert '+ "order_id": "{{properties.order_id}}"}' in lines
    assert "transport.headers.Authorization: •••• → ••••" in lines
    assert "updated crm: version 2" in lines
    assert "token-" not in applied.out
    assert "signing-secret" not in applied.out


def test_what_the_server_warns_of_is_told(world: World) -> None:
    url = world.receiver.url
    file = world.file(
        f"destinations: [{{name: w, transport: {{url: '{url}'}}, filter: {{event_name: Order Completed}}}}]"
    )
    applied = world.run("destinations", "apply", "-f", file, "--yes")
    assert applied.status == 0
    said = "the filter names event_name 'Order Completed', which no event has: such events are called purchase"
    assert applied.out.splitlines()[-2:] == ["created w: version 1", f"    warning: {said}"]


def test_a_json_file_and_a_pipe_work_as_well(world: World) -> None:
    text = json.dumps({"destinations": [{"name": "j", "transport": {"url": world.receiver.url}}]})
    assert world.run("destinations", "apply", "--yes", "-f", world.file(text, "d.json")).status == 0
    again = world.run("destinations", "apply", "--json", "-f", "-", stdin=text)
    assert (again.status, again.json["applied"]) == (0, [])
    assert [step["action"] for step in again.json["plan"]] == ["unchanged"]


def test_where_nobody_can_be_asked_yes_must_be_said(world: World) -> None:
    ran = world.run("destinations", "apply", "-f", world.file(FILE.format(url=world.receiver.url)))
    assert ran.status == 2
    assert "say --yes" in ran.err
    assert list(world.client.rows("/v1/destinations")) == []


@pytest.mark.parametrize("answer, status, names", [("y\n", 0, ["asked"]), ("n\n", 1, [])])
def test_on_a_terminal_it_asks(world: World, answer: str, status: int, names: list[str]) -> None:
    file = world.file(f"destinations: [{{name: asked, transport: {{url: '{world.receiver.url}'}}}}]")
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    process = subprocess.run(
        [sys.executable, "-m", "tracklayer", "destinations", "apply", "-f", file],
        env=clean_environment(url=world.url, api_key=KEY),
        stdin=theirs,
        stdout=theirs,
        timeout=PATIENCE,
        check=False,
    )
    os.close(theirs)
    said = os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == status
    assert "Apply this? [y/N]" in said
    assert [row["name"] for row in world.client.rows("/v1/destinations")] == names


def test_every_destination_that_the_server_refuses_is_named_with_its_line(world: World) -> None:
    file = world.file(
        "destinations:\n"
        "  - name: one\n    transport: {url: ftp://x.example}\n"
        "  - name: two\n    transport: {url: 'https://x.example'}\n    retry:\n      attempts: 1000\n"
        "  - name: three\n    transport: {url: 'https://x.example'}\n    nonsense: 1\n"
    )
    ran = world.run("destinations", "apply", "--yes", "-f", file)
    assert ran.status == 1
    first, second, third = ran.err.splitlines()
    assert f"{file}:3:22: destination 'one': 'ftp://x.example' is not a usable URL" in first
    assert f"{file}:7:17: destination 'two': 1000 is no number of retries" in second
    assert f"{file}:10:15: destination 'three'" in third
    assert "(/nonsense)" in third
    assert list(world.client.rows("/v1/destinations")) == []


def test_what_was_applied_before_a_failure_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ApiClient.post

    def post(self: ApiClient, path: str, body: Any = None, **query: Any) -> Any:
        if body["name"] == "third" and not query:
            raise Unreachable("no TrackLayer answers")
        return real(self, path, body, **query)

    monkeypatch.setattr(ApiClient, "post", post)
    names = ["first", "second", "third"]
    text = json.dumps({"destinations": [{"name": name, "transport": {"url": world.receiver.url}} for name in names]})
    ran = world.run("destinations", "apply", "--yes", "--json", "-f", world.file(text, "three.json"))
    assert (ran.status, ran.err) == (1, "tracklayer: no TrackLayer answers\n")
    assert [step["name"] for step in ran.json["plan"]] == names
    assert [row["name"] for row in ran.json["applied"]] == names[:2]


def test_a_name_that_the_server_has_twice_is_refused(world: World) -> None:
    for _ in range(2):
        world.destination("twin")
    ran = world.run(
        "destinations",
        "apply",
        "--yes",
        "-f",
        world.file("destinations: [{name: twin, transport: {url: 'https://x'}}]"),
    )
    assert ran.status == 1
    assert "the server has 2 destinations named 'twin': dst_" in ran.err


def test_a_file_that_is_not_there_is_refused(world: World) -> None:
    ran = world.run("destinations", "apply", "-f", "no/such/file.yaml")
    assert (ran.status, ran.err) == (2, "tracklayer: no/such/file.yaml cannot be read: No such file or directory\n")


def test_a_test_shows_every_step_and_the_exchange(world: World) -> None:
    world.run("destinations", "apply", "--yes", "-f", world.file(FILE.format(url=world.receiver.url)))
    ran = world.run("destinations", "test", "crm")
    assert ran.status == 0, ran
    for expected in ("X-TrackLayer-Signature (tracklayer)", "200 in", "> POST http://", '"type": "purchase"', "< 200"):
        assert expected in ran.out
    assert ran.out.splitlines()[-1].endswith("is delivered")


def test_what_a_receiver_answers_does_not_steer_the_terminal(world: World) -> None:
    world.destination("sly")
    world.receiver.script("/sly", Answer(200, body=b"\x1b[2Jgone\x07"))
    event = world.file('{"event_name": "to_sly"}', "event.json")
    ran = world.run("destinations", "test", "sly", "--event", event)
    assert "\\x1b[2Jgone\\x07" in ran.out
    assert "\x1b" not in ran.out


def test_a_test_that_does_not_arrive_ends_with_1(world: World) -> None:
    identity = world.destination("down")
    world.receiver.script("/down", Answer(500, body=b"out of order"))
    event = world.file('{"event_name": "to_down", "properties": {"order_id": "7"}}', "event.json")
    ran = world.run("destinations", "test", identity, "--event", event)
    assert ran.status == 1
    assert "out of order" in ran.out
    stopped = world.run("destinations", "test", "down", "--json")
    assert stopped.status == 1
    assert stopped.json["steps"]["filter"]["matched"] is False


def test_a_destination_that_is_not_there_is_told_with_those_that_are(world: World) -> None:
    world.destination("only")
    ran = world.run("destinations", "test", "onyl")
    assert ran.status == 2
    assert "there is no destination 'onyl'; there are: only" in ran.err


def test_one_event_from_the_command_line(world: World) -> None:
    world.destination("one")
    ran = world.run("events", "send", "--name", "to_one", "--property", "value=149.90", "--property", "order_id=A=1")
    assert ran.status == 0
    word, event_id = ran.out.split()
    assert word == "accepted:"
    event = world.client.get(f"/v1/events/{event_id}")
    assert str(event["properties"]["value"]) == "149.90"
    assert event["properties"]["order_id"] == "A=1"


@pytest.mark.parametrize(
    "text, count",
    [
        ('{"event_name": "a"}', 1),
        ('[{"event_name": "a"}, {"event_name": "b"}]', 2),
        ('{"events": [{"event_name": "a"}, {"event_name": "b"}]}', 2),
        ('{"event_name": "a"}\n{"event_name": "b"}\n\n{"event_name": "c"}\n', 3),
        ('{"event_name": "a", "text": "\u2028"}\n{"event_name": "b"}\n', 2),
        ("[" + ",".join(['{"event_name": "a"}'] * 1200) + "]", 1200),
    ],
)
def test_events_from_a_file_or_a_pipe(world: World, text: str, count: int) -> None:
    ran = world.run("events", "send", "-", "--json", stdin=text)
    assert ran.status == 0
    assert [each["status"] for each in ran.json["results"]] == ["accepted"] * count
    assert world.run("events", "send", world.file(text, "events.json")).status == 0


def test_a_rejected_event_is_told_with_its_number_and_ends_with_1(world: World) -> None:
    ran = world.run("events", "send", "-", stdin='[{"event_name": "a"}, {"event_name": 7}, {"nothing": 1}]')
    assert ran.status == 1
    assert ran.out.startswith("1 accepted, 0 duplicate, 2 rejected")
    assert "/event_name" in ran.out


@pytest.mark.parametrize(
    "arguments, said",
    [
        ((), "either a FILE"),
        (("-", "--name", "a"), "either a FILE"),
        (("-", "--property", "a=1"), "goes with --name"),
        (("--name", "a", "--property", "a"), "not of the form key=value"),
        (("no-such-file",), "cannot be read"),
        (("-",), "not valid JSON"),
    ],
)
def test_events_that_cannot_be_sent_are_refused(world: World, arguments: tuple[str, ...], said: str) -> None:
    ran = world.run("events", "send", *arguments, stdin="{")
    assert ran.status == 2
    assert said in ran.err


@pytest.mark.parametrize("bad", ['{"event_name": "b"', "b", '{"event_name": "b"} {"event_name": "c"}'])
def test_a_bad_line_is_named_and_nothing_is_sent(world: World, bad: str) -> None:
    text = f'{{"event_id": "beside{len(bad)}", "event_name": "a"}}\n\n{bad}\n'
    ran = world.run("events", "send", "-", stdin=text)
    assert ran.status == 2
    assert ran.err.startswith("tracklayer: standard input line 3 is not valid JSON: ")
    assert world.run("events", "send", "-", stdin=text.splitlines()[0]).out.startswith("accepted: ")


def test_dead_letters_are_listed_compared_replayed_and_discarded(world: World) -> None:
    identity = world.destination("fragile")
    first, second, third = (world.die("fragile", order) for order in ("1", "2", "3"))

    assert (
        world.run("dead-letters", "list", "--destination", "fragile", "--json", "--limit", "2").json[0]["id"] == third
    )
    assert "401" in world.run("dead-letters", "list").out

    world.client.call("PATCH", f"/v1/destinations/{identity}", {"template": '{"order_id": "{{properties.order_id}}"}'})
    world.receiver.script("/fragile", Answer(200))
    before = world.receiver.count
    compared = world.run("dead-letters", "replay", "--destination", "fragile", "--dry-run")
    assert compared.status == 0
    assert "3 dead letters would be replayed" in compared.out
    assert '-  "order": "1"' in compared.out
    assert '+  "order_id": "1"' in compared.out
    assert world.receiver.count == before

    assert world.run("dead-letters", "replay", first, "--as-sent").out == "1 replayed\n"
    assert world.run("dead-letters", "discard", second, "--reason", "test data").out == "1 discarded\n"
    refused = world.run("dead-letters", "replay", first, second, "dlv_unknown")
    assert refused.status == 1
    assert refused.out == "0 replayed\n"
    assert f"{second}: delivery {second} is discarded, not dead" in refused.err
    assert "dlv_unknown: there is no delivery" in refused.err

    asked = world.run("dead-letters", "replay", "--event-name", "to_fragile")
    assert asked.status == 2
    assert "say --yes" in asked.err
    done = world.run("dead-letters", "replay", "--event-name", "to_fragile", "--yes", "--json")
    assert done.json == {"replayed": [third], "refused": []}
    world.receiver.requests[-1].body.decode()
    for delivery_id, state in ((first, "delivered"), (second, "discarded"), (third, "delivered")):
        event_id = world.client.get(f"/v1/deliveries/{delivery_id}")["event_id"]
        settled(world.client, event_id, state)
    assert json.loads(world.receiver.requests[-1].body) == {"order_id": "3"}


def test_what_was_discarded_before_a_failure_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.destination("frail")
    first, second = world.die("frail", "1"), world.die("frail", "2")
    real = ApiClient.post

    def post(self: ApiClient, path: str, body: Any = None, **query: Any) -> Any:
        if second in path:
            raise Unreachable("no TrackLayer answers")
        return real(self, path, body, **query)

    monkeypatch.setattr(ApiClient, "post", post)
    ran = world.run("dead-letters", "discard", first, second, "--json")
    assert (ran.status, ran.err) == (1, "tracklayer: no TrackLayer answers\n")
    assert ran.json == {"discarded": [first], "refused": []}
    monkeypatch.undo()
    assert world.run("dead-letters", "discard", second).out == "1 discarded\n"


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_which_dead_letters_must_be_said_in_one_way(world: World, verb: str) -> None:
    assert "say which" in world.run("dead-letters", verb).err
    assert "not both" in world.run("dead-letters", verb, "dlv_1", "--all").err
    assert world.run("dead-letters", verb, "--all", "--yes").status == 0


def install(data_dir: Path, migrations: Path = MIGRATIONS) -> None:
    """Make a database as a server does that has not come to its first key yet."""
    data_dir.mkdir(exist_ok=True)
    asyncio.run(migrate(f"sqlite:///{data_dir}/tracklayer.db", migrations))


def test_a_key_is_made_in_the_database_and_a_server_takes_it(tmp_path: Path) -> None:
    install(tmp_path)
    made = run("keys", "create", "--name", "shop", "--scope", "events:write", "--json", data_dir=str(tmp_path))
    assert made.status == 0, made
    assert made.json["scopes"] == ["events:write"]
    with running_server(tmp_path, admin_key="") as server:
        refused = run("keys", "create", "--name", "x", "--scope", "admin", data_dir=str(tmp_path))
        assert refused.status == 1
        assert "another TrackLayer is running" in refused.err
        assert "ask that server, with --url and --key" in refused.err
        sent = run("events", "send", "--name", "a", url=server.url, api_key=made.json["key"])
        assert sent.status == 0
        admin = made.json["first_admin_key"]
        asked = run("keys", "create", "--name", "two", "--scope", "admin", "--url", server.url, "--key", admin)
        assert asked.status == 0
        assert "tl_live_" in asked.out


def test_a_workspace_has_its_own_keys(tmp_path: Path) -> None:
    install(tmp_path)
    made = run(
        *("keys", "create", "--name", "n", "--scope", "admin", "--workspace", "blue", "--json"), data_dir=str(tmp_path)
    )
    with running_server(tmp_path) as server:
        with ApiClient(server.url, KEY) as client:
            client.post("/v1/destinations", {"name": "of the default", "transport": {"url": "https://x.example"}})
        listed = run("destinations", "list", "--json", url=server.url, api_key=made.json["key"])
        assert listed.json == []
        over_the_api = run(
            *("keys", "create", "--name", "n", "--scope", "admin", "--workspace", "x", "--url", server.url), api_key=KEY
        )
        assert (over_the_api.status, "--workspace" in over_the_api.err) == (2, True)


def test_somebody_is_invited_in_the_database_and_over_the_api(tmp_path: Path) -> None:
    here = {"data_dir": str(tmp_path), "admin_key": KEY, "port": "8123"}
    install(tmp_path)
    made = run("people", "invite", "Kim@example.com", **here)
    assert made.status == 0, made
    assert "For kim@example.com" in made.out
    assert "http://127.0.0.1:8123/setup/" in made.out
    assert run("people", "list", **here).out == "There is nobody yet: tracklayer people invite EMAIL\n"
    outside = run("people", "invite", "lee@example.com", "--json", public_url="https://tl.example.com", **here)
    assert outside.json["url"].startswith("https://tl.example.com/setup/")
    with running_server(tmp_path) as server:
        refused = run("people", "invite", "kim@example.com", **here)
        assert refused.status == 1
        assert "ask that server, with --url and --key" in refused.err
        asked = run("people", "invite", "kim@example.com", "--json", url=server.url, api_key=KEY)
        assert asked.json["url"].startswith(f"{server.url}/setup/")
        assert run("people", "list", "--json", url=server.url, api_key=KEY).json == []
        bad = run("people", "invite", "kim", url=server.url, api_key=KEY)
        assert (bad.status, bad.err) == (1, "tracklayer: 'kim' is not an e-mail address (/email)\n")
        with ApiClient(server.url, KEY) as client:
            trail = [(row["actor"], row["target"]) for row in client.rows("/v1/audit", action="person")]
        name = "TRACKLAYER_ADMIN_KEY"
        assert trail == [
            (name, "kim@example.com"),
            *(("command line", f"{each}@example.com") for each in ("lee", "kim")),
        ]


def test_a_database_without_an_admin_key_shows_its_first_one_whatever_makes_it(tmp_path: Path) -> None:
    here, there = ({"data_dir": str(tmp_path / name)} for name in "ab")
    for name in "ab":
        install(tmp_path / name)
    listed = run("people", "list", "--json", **here)
    assert listed.json == []
    assert "tl_live_" in listed.err
    invited = run("people", "invite", "kim@example.com", "--json", **there)
    assert invited.json["first_admin_key"].startswith("tl_live_")


OF_AN_INSTALLATION = [
    ("keys", "create", "--name", "n", "--scope", "admin"),
    ("people", "list"),
    ("people", "invite", "kim@example.com"),
    ("prune",),
    ("prune", "--dry-run"),
]


@pytest.mark.parametrize("command", [*OF_AN_INSTALLATION, ("migrate",)])
def test_a_mistyped_place_is_named_and_nothing_is_made_there(tmp_path: Path, command: tuple[str, ...]) -> None:
    here = tmp_path / "data"
    here.mkdir()
    for settings, place, setting in (
        ({"data_dir": f"{tmp_path}/mistyped"}, f"{tmp_path}/mistyped", "TRACKLAYER_DATA_DIR"),
        ({"data_dir": str(here)}, f"{here}/tracklayer.db", "TRACKLAYER_DATA_DIR"),
        (
            {"data_dir": str(here), "database_url": f"sqlite:///{tmp_path}/mistyped.db"},
            f"{tmp_path}/mistyped.db",
            "TRACKLAYER_DATABASE_URL",
        ),
    ):
        said = f"there is no TrackLayer in {place}: {setting} says where one is, and `tracklayer serve` makes a new one"
        assert run(*command, **settings) == Ran(2, "", f"tracklayer: {said}\n")
    assert list(tmp_path.iterdir()) == [here]
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", OF_AN_INSTALLATION)
def test_an_empty_postgresql_database_is_named_and_stays_empty(
    tmp_path: Path, empty_postgres: str, command: tuple[str, ...]
) -> None:
    settings = {"data_dir": str(tmp_path / "data"), "database_url": empty_postgres}
    ran = run(*command, **settings)
    assert ran.status == 2
    assert ran.err.startswith(f"tracklayer: there is no TrackLayer in {shown_url(empty_postgres)}: ")
    assert "TRACKLAYER_DATABASE_URL says where one is" in ran.err
    assert list(tmp_path.iterdir()) == []
    assert "at nothing yet" in run("migrate", "--check", **settings).out


def test_migrate_makes_the_schema_in_a_postgresql_database_that_is_empty(tmp_path: Path, empty_postgres: str) -> None:
    settings = {"data_dir": str(tmp_path), "database_url": empty_postgres}
    assert run("migrate", **settings) == Ran(0, "The database is up to date.\n", "")
    made = run("keys", "create", "--name", "n", "--scope", "admin", "--json", **settings)
    assert made.json["first_admin_key"].startswith("tl_live_")


def test_a_scope_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    install(tmp_path)
    ran = run("keys", "create", "--name", "n", "--scope", "everything", data_dir=str(tmp_path))
    assert ran.status == 1
    assert ran.err.startswith("tracklayer: 'everything' is not a scope: expected some of events:write")


def test_migrate_brings_a_database_up_to_date_and_does_nothing_the_second_time(tmp_path: Path) -> None:
    install(tmp_path / "data", release(tmp_path / "older", upto="0003"))
    assert run("migrate", "--check", data_dir=str(tmp_path / "data")).status == 1
    for _ in range(2):
        assert run("migrate", data_dir=str(tmp_path / "data")) == Ran(0, "The database is up to date.\n", "")
    assert run("migrate", "--check", data_dir=str(tmp_path / "data")).status == 0
    with running_server(tmp_path / "data"):
        assert "another TrackLayer is running" in run("migrate", "--data-dir", str(tmp_path / "data")).err
