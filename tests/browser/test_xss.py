"""What an event, a receiver, a colleague or a link says is shown as text: nothing of it runs, nothing is markup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from tests.browser.code_editor import write
from tests.browser.conftest import PATIENCE
from tests.browser.hostile import EMAIL, LINK, TURN, HostileWorkspace, attack, header_attack
from tests.console.client import EMAIL as ANA
from tests.console.client import PASSWORD, Console, first_person, invited_person
from tests.harness import Api, ReceiverThread, ServerProcess, wait_until

WATCH = """
document.addEventListener("securitypolicyviolation", ({ violatedDirective, sample }) =>
  canary(`policy: ${violatedDirective} ${sample}`));
"""
FOREIGN = r"""() => [...document.querySelectorAll("*")].filter((element) =>
  element.matches("img, iframe, object, embed, base, body script:not([type='application/json'])")
  || [...element.attributes].some(({ name, value }) => /^(hx-)?on/.test(name) || /^\s*javascript:/i.test(value))
).map((element) => element.outerHTML.slice(0, 200))"""
SEEN = r"""() => [document.body, ...document.querySelectorAll("input, textarea")]
  .map((element) => element.value ?? element.textContent).join("\n")"""
# It turns round what follows in its block, unless it is isolated. A label says what a form does: it has to end with it.
TURNED = r"""(turn) => {
  const found = [];
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement: parent } = walker.currentNode;
    if (!data.includes(turn) || !parent.checkVisibility() || parent.closest("pre")) continue;
    const { display, unicodeBidi } = getComputedStyle(parent);
    const isOpen = display === "inline" && !unicodeBidi.startsWith("isolate");
    const isFollowed = parent.matches('label') && /\s\w/.test(data.slice(data.lastIndexOf(turn)));
    if (isOpen || isFollowed) found.push(parent.outerHTML);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("hostile") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def console_url(server: ServerProcess) -> str:
    return server.url


@pytest.fixture(scope="module")
def first(server: ServerProcess) -> Console:
    return first_person(server)


@pytest.fixture(scope="module")
def workspace(server: ServerProcess, receiver: ReceiverThread) -> HostileWorkspace:
    invited_person(server, EMAIL)
    return HostileWorkspace(Api(server.url, server.key), receiver)


@pytest.fixture
def context(browser: Browser, server: ServerProcess) -> Iterator[BrowserContext]:
    """A browser that is itself an attack on the list of sessions."""
    fresh = browser.new_context(base_url=server.url, user_agent=header_attack("agent")[:60])
    fresh.set_default_timeout(PATIENCE)
    yield fresh
    fresh.close()


@pytest.fixture
def ran(context: BrowserContext) -> Iterator[list[str]]:
    """What of the attacks ran, or tried to: nothing, when the test ends."""
    found: list[str] = []
    context.expose_function("canary", lambda what="an attack ran": found.append(str(what)))
    context.add_init_script(WATCH)

    def close(dialog: Dialog) -> None:
        found.append(dialog.message)
        dialog.dismiss()

    context.on("dialog", close)
    yield found
    assert not found


def addresses(workspace: HostileWorkspace) -> list[tuple[str, list[str]]]:
    """Every page, with the attacks that must be read there, by their field."""
    one = f"/settings/destinations/{workspace.destination_id}"
    link = {"return": LINK, "next": LINK}
    return [
        ("/events", ["id", "name", "platform", "segment", "user"]),
        (workspace.event_path, ["id", "name", "key", "inner-key", "inner", "order", "user-key", "destination"]),
        (f"/events?{urlencode({'q': attack('id')})}", ["id", "name"]),
        ("/deliveries", ["id", "name", "destination"]),
        (
            f"/deliveries/{workspace.delivery_id}",
            ["name", "destination", "order", "answer-body", "changed-header", "answered"],
        ),
        (f"/deliveries/{workspace.discarded_id}", ["reason"]),
        ("/dead-letters", ["name", "destination", "answer-body"]),
        (workspace.cause_path, ["name", "destination", "order", "answer-body"]),
        ("/settings/destinations", ["destination"]),
        (one, ["destination"]),
        *((f"{one}/{tab}", ["destination"]) for tab in ("deliveries", "dead-letters", "signing", "settings")),
        (f"{one}/versions", ["changed-note", "note"]),
        (f"{one}/versions/1", ["header", "changed-header"]),
        (f"{one}/suppressions", ["why", "elsewhere"]),
        (
            f"{one}/edit?{urlencode({'event': attack('id'), **link})}",
            ["destination", "changed-header", "name", "id", "order"],
        ),
        ("/settings/api-keys", ["key-name"]),
        ("/settings/account", ["agent"]),
        ("/settings/workspace", []),
        ("/settings/sources", []),
        ("/audit", ["destination", "why", "reason", "key-name"]),
        *told_by_the_address(one, link),
    ]


def told_by_the_address(one: str, link: dict[str, str]) -> list[tuple[str, list[str]]]:
    """Pages that say again what their address says."""

    def asked(path: str, *names: str) -> str:
        return f"{path}?{urlencode({name: attack(name) for name in names})}"

    return [
        (asked("/events", "q", "name", "test"), ["q", "name"]),
        (asked("/events", "before"), []),
        (asked("/deliveries", "event_id", "event_name", "code", "state", "since"), ["event_id", "event_name"]),
        (asked("/deliveries", "destination_id", "cause", "test", "window", "until"), []),
        (asked("/dead-letters", "destination_id", "cause", "event_name"), ["cause", "event_name"]),
        (asked("/audit", "actor", "action", "target"), ["actor", "action", "target"]),
        (asked("/settings/destinations", "q"), ["q"]),
        (asked(one, "window"), []),
        (asked("/settings/destinations/new", "preset", "return"), []),
        (f"/settings/destinations/new?{urlencode({'preset': 'blank', **link})}", []),
        (f"/settings/secrets?{urlencode({'name': attack('secret'), **link})}", ["secret"]),
        (f"/sign-in?{urlencode(link)}", []),
        (f"/nothing/{quote(attack('path'), safe='')}", ["path"]),
        (f"/deliveries/{quote(attack('path'), safe='')}", []),
        (f"/settings/destinations/{quote(attack('path'), safe='')}/edit", []),
    ]


def test_an_attack_that_gets_through_would_be_seen(page: Page, ran: list[str], no_console_errors: list[str]) -> None:
    page.goto("/sign-in")
    page.evaluate("attack => document.body.insertAdjacentHTML('beforeend', attack)", attack("through"))
    expect(page.locator("img")).to_have_count(1)
    assert len(page.evaluate(FOREIGN)) == 2  # the image and the script
    wait_until(lambda: page.title() and ran, what="the policy to speak up")
    ran.clear()
    no_console_errors.clear()


def test_every_page_shows_attacks_as_text(page: Page, ran: list[str], workspace: HostileWorkspace) -> None:
    sign_in(page)
    for address, fields in addresses(workspace):
        page.goto(address)
        unhurt(page, ran, address)
        seen = page.evaluate(SEEN)
        for field in fields:
            assert is_told(seen, field), f"{address} does not show {field} as it is"
        assert page.evaluate(TURNED, TURN) == [], f"{address} is turned round"


def test_what_is_loaded_into_a_page_is_text_as_well(page: Page, ran: list[str], workspace: HostileWorkspace) -> None:
    for address in ("/events", "/deliveries"):
        page.goto(address)
        page.get_by_role("row").nth(1).click()
        expect(page.get_by_role("dialog", name="Details")).to_contain_text(attack("name"))
        unhurt(page, ran, address)

    page.goto(workspace.cause_path)
    page.get_by_role("button", name="Compare first").click()
    expect(page.get_by_role("heading", name="1 would be sent rendered again")).to_be_visible()
    unhurt(page, ran, "the comparison")
    page.get_by_role("button", name="Discard 1").click()
    page.get_by_label("Discard these: why?").fill("asked about first")
    page.get_by_role("button", name="Discard 1").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    unhurt(page, ran, "the question")


def test_the_editor_takes_attacks_for_what_they_are(page: Page, ran: list[str], workspace: HostileWorkspace) -> None:
    page.goto(f"/settings/destinations/{workspace.destination_id}/edit?{urlencode({'event': attack('id')})}#filter")
    expect(page.get_by_role("button", name=f"Remove {attack('name')}")).to_be_visible()
    page.get_by_label("Event name").focus()  # asks for the names that came
    expect(page.locator("#values-event_name option")).to_have_count(1)
    unhurt(page, ran, "the chips")

    page.get_by_role("button", name="Payload template").click()
    template = page.get_by_role("textbox", name="Template")
    write(template, "")
    page.keyboard.type("{{prop")
    expect(page.get_by_role("listbox").get_by_role("option").first).to_be_visible()
    unhurt(page, ran, "the completion")
    template.press("Escape")
    write(template, attack("typed") + "{{#if")
    expect(template).to_have_attribute("aria-invalid", "true")
    unhurt(page, ran, "a problem of the template")


def test_forms_that_are_refused_say_what_was_typed_as_text(
    page: Page, ran: list[str], workspace: HostileWorkspace
) -> None:
    page.goto("/settings/secrets")
    page.get_by_label("Name", exact=True).fill(attack("secret"))
    page.get_by_label("Value", exact=True).fill("some value")
    page.get_by_role("button", name="Save the secret").click()
    expect(page.get_by_label("Name", exact=True)).to_have_value(attack("secret"))
    unhurt(page, ran, "a secret's name")
    page.goto("/settings/workspace")
    page.get_by_role("button", name=f"Remove {EMAIL}").click()
    expect(page.get_by_text(f"Remove {EMAIL}?")).to_be_visible()
    unhurt(page, ran, "an e-mail that is asked about")


def sign_in(page: Page) -> None:
    """By the form, so that the list of sessions has this browser's name."""
    page.context.clear_cookies()
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(ANA)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Destinations", exact=True)).to_be_visible()


def unhurt(page: Page, ran: list[str], where: str) -> None:
    """Nothing ran, nothing tried to, and nothing became an element."""
    assert not ran, f"{where}: {ran}"
    assert page.evaluate(FOREIGN) == [], where


def is_told(seen: str, field: str) -> bool:
    """Whether an attack can be read, as it is or as JSON has it."""
    forms = (
        attack(field),
        header_attack(field),
        json.dumps(attack(field), ensure_ascii=False)[1:-1],
        attack(field)[:60],
    )
    return any(form in seen for form in forms)
