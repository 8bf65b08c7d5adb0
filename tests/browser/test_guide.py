"""The guide from its beginning to its end, as a person goes through it in one browser."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.code_editor import write
from tests.console.client import EMAIL, PASSWORD, setup_link
from tests.harness import Api, ReceiverThread, ServerProcess
from tracklayer.demo.receiver import Recorded

TOKEN, SIGNING_SECRET = "tok_5d0c1fa77e2b", "dest_live_9f3b27"

HEADERS_WITH_A_MISTAKE = '{\n  "Authorization": "Bearer {{secrets.webhook_token}}",\n  "X-Environment" "production"\n}'
HEADERS = HEADERS_WITH_A_MISTAKE.replace('"X-Environment" ', '"X-Environment": ')
TEMPLATE = """{
  "type": "{{event_name}}",
  "user": "{{user_data.external_id}}",
  "order_id": "{{properties.order_id}}",
  "value": {{properties.value}},
  "coupon": "{{properties.coupon}}"
}"""
TEMPLATE_WITH_A_MISTAKE = TEMPLATE.replace("{{properties.order_id}}", "{{properties.order_id}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which nobody has been yet."""
    with ServerProcess(tmp_path_factory.mktemp("guide") / "data") as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[ReceiverThread]:
    """One of its own, for it will be down."""
    with ReceiverThread() as running:
        yield running


@pytest.fixture(scope="module")
def console_url(server: ServerProcess) -> str:
    return server.url


def test_the_guide_from_beginning_to_end(stranger: Page, server: ServerProcess, receiver: ReceiverThread) -> None:
    page, shop = stranger, Api(server.url, server.key)
    for number, name in enumerate(("purchase", "add_to_cart", "purchase", "lead", "refund_requested")):
        send(shop, name, f"before-{number}", value=10 + number)

    the_first_one_follows_the_link(page, setup_link(server))
    begin_a_destination(page)
    define_the_transport(page, f"{receiver.url}/orders")
    apply_a_filter(page)
    build_the_template(page)
    set_the_retry_policy(page)
    a_test_comes_before_live_traffic(page)
    run_the_test(page, receiver)
    go_live(page)

    watch_a_live_event_arrive(page, shop, receiver)
    see_what_becomes_of_events_while_the_receiver_is_down(page, shop, receiver)
    find_the_cause(page)
    with ReceiverThread() as moved:
        mend_the_address_and_come_back(page, f"{moved.url}/orders")
        compare_and_replay(page, moved)
    an_event_tells_its_fate(page)
    the_audit_tells_who_did_it(page)


def the_first_one_follows_the_link(page: Page, link: str) -> None:
    page.goto(link)
    expect(page.get_by_role("heading", name="Set up TrackLayer")).to_be_visible()
    field(page, "E-mail").fill(EMAIL)
    field(page, "Password").fill(PASSWORD)
    field(page, "Password, again").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    expect(main_links(page).get_by_role("link", name="Destinations")).to_be_visible()


def begin_a_destination(page: Page) -> None:
    main_links(page).get_by_role("link", name="Destinations").click()
    page.get_by_role("link", name="New destination").first.click()
    page.get_by_role("link", name="Custom HTTP").click()
    expect(page.get_by_role("heading", name="Transport")).to_be_visible()


def define_the_transport(page: Page, url: str) -> None:
    field(page, "Name").first.fill("Order collector")
    field(page, "URL").fill(url)
    field(page, "Method").select_option("PUT")

    headers = page.get_by_role("textbox", name="Custom headers, as JSON")
    write(headers, HEADERS_WITH_A_MISTAKE)
    expect(headers).to_have_accessible_description(re.compile(r"This is not JSON"))
    write(headers, HEADERS)
    expect(headers).not_to_have_accessible_description(re.compile(r"This is not JSON"))

    expect(page.locator("#becomes")).to_contain_text("There is no secret webhook_token yet")
    page.get_by_text("New secret").click()
    field(page, "Name").last.fill("webhook_token")
    field(page, "Value").fill(TOKEN)
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("status").filter(has_text="webhook_token is kept")).to_be_visible()
    expect(page.locator("#becomes")).not_to_contain_text("There is no secret")

    field(page, "Signature").select_option("TrackLayer (HMAC-SHA256)")
    field(page, "Signing secret").fill(SIGNING_SECRET)
    steps = page.get_by_role("navigation", name="Steps")
    expect(steps.get_by_role("link", name="Transport")).to_contain_text(
        f"PUT {urlsplit(url).netloc} · 2 headers · signed"
    )
    page.get_by_role("button", name="Event filter").click()
    expect(pane(page)).to_contain_text("Signed; the signature verifies")
    expect(pane(page)).to_contain_text("Authorization: Bearer ••••")
    expect(pane(page)).not_to_contain_text(TOKEN)


def apply_a_filter(page: Page) -> None:
    expect(page.get_by_text("matches 5 of the last 5 events")).to_be_visible()
    names = field(page, "Event name")
    names.press_sequentially("purchase,refund_requested")
    names.press("Enter")
    expect(page.get_by_role("button", name="Remove purchase")).to_be_visible()
    expect(page.get_by_text("matches 3 of the last 5 events")).to_be_visible()

    page.get_by_role("button", name="JSON", exact=True).click()
    as_json = field(page, "Filter, as JSON")
    assert json.loads(as_json.input_value()) == {"event_name": ["purchase", "refund_requested"]}
    as_json.fill('{"event_name": ["purchase"], "platform": ["shopify"]}')
    page.get_by_role("button", name="Chips").click()
    expect(page.get_by_role("button", name="Remove shopify")).to_be_visible()
    expect(page.get_by_role("button", name="Remove refund_requested")).to_be_hidden()
    expect(page.get_by_text("matches 2 of the last 5 events")).to_be_visible()
    page.get_by_role("button", name="Payload template").click()


def build_the_template(page: Page) -> None:
    template = page.get_by_role("textbox", name="Template")
    write(template, TEMPLATE_WITH_A_MISTAKE)
    expect(template).to_have_accessible_description(re.compile(r"Line 4, column \d+: "))
    expect(pane(page)).to_contain_text("line 4: ")
    write(template, TEMPLATE)
    expect(template).not_to_have_accessible_description(re.compile("Line 4"))

    field(page, "Event").select_option("event:before-2")
    expect(body(pane(page))).to_contain_text('"order_id": "before-2"')
    expect(body(pane(page))).to_contain_text('"value": 12')
    expect(pane(page)).to_contain_text("The event lacks properties.coupon")
    expect(template.get_by_title("The event has no properties.coupon")).to_be_visible()
    page.get_by_role("button", name="Retry policy").click()


def set_the_retry_policy(page: Page) -> None:
    expect(page.get_by_text("Gives up after 12 m 42 s and 6 requests")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^Attempts: "))).to_be_visible()
    field(page, "Retries").fill("2")
    field(page, "Backoff").fill("0.4s, 0.6s")
    field(page, "Jitter, in %").fill("0")
    expect(page.get_by_text("Gives up after 1 s and 3 requests")).to_be_visible()
    page.get_by_role("radio", name="Internal service").check()
    page.get_by_role("button", name="Synthetic test").click()


def a_test_comes_before_live_traffic(page: Page) -> None:
    page.get_by_role("button", name="Go live").click()
    skip = field(page, "Go live without a passed test")
    expect(skip).to_have_accessible_description(re.compile("No test of this version has passed yet"))
    expect(page.get_by_role("heading", name="Synthetic test")).to_be_visible()


def run_the_test(page: Page, receiver: ReceiverThread) -> None:
    field(page, "Event").select_option("synthetic")
    page.get_by_role("button", name="Run the test").click()
    result = page.get_by_role("region", name="The test's result")
    expect(result).to_contain_text("The test arrived")
    stages = result.get_by_role("listitem")
    expect(stages).to_have_count(6)
    for stage, name in zip(stages.all(), ("filter", "consent", "render", "sign", "send", "response"), strict=True):
        expect(stage).to_contain_text(f"{name} passed:")

    (got,) = receiver.on("/orders")
    assert got.method == "PUT"
    assert header(got, "authorization") == f"Bearer {TOKEN}"
    assert header(got, "x-tracklayer-signature") == signature(got.body)
    result.get_by_text("Request, as it was sent").click()
    assert body(result).first.inner_text() == got.body.decode()


def go_live(page: Page) -> None:
    page.get_by_role("button", name="Go live").click()
    expect(page.get_by_role("heading", name="Order collector active")).to_be_visible()
    expect(page.get_by_text("2 of the last 2 matching events have no properties.coupon")).to_be_visible()


def watch_a_live_event_arrive(page: Page, shop: Api, receiver: ReceiverThread) -> None:
    main_links(page).get_by_role("link", name="Deliveries").click()
    rows = page.get_by_role("region", name="Deliveries").get_by_role("row")
    expect(rows).to_have_count(2)  # the head, and the test
    expect(page.locator("[data-live-state=on]")).to_be_attached()

    send(shop, "purchase", "live-1", value=99)
    expect(page.get_by_role("button", name="1 new")).to_be_visible()
    expect(rows).to_have_count(2)  # nothing moves by itself
    page.get_by_role("button", name="1 new").click()
    expect(rows.filter(has_text="live-1")).to_contain_text("delivered")

    got = receiver.on("/orders")[-1]
    assert json.loads(got.body)["order_id"] == "live-1"
    assert header(got, "x-tracklayer-signature") == signature(got.body)


def see_what_becomes_of_events_while_the_receiver_is_down(page: Page, shop: Api, receiver: ReceiverThread) -> None:
    receiver.close()
    for number in range(3):
        send(shop, "purchase", f"lost-{number}", value=number)
    page.get_by_role("button", name="3 new").click()
    row = page.get_by_role("row").filter(has_text="lost-0")
    expect(row).to_contain_text("retrying")
    expect(row).to_contain_text("dead letter")
    row.get_by_role("link", name="purchase", exact=True).click()
    drawer = page.get_by_role("dialog", name="Details")
    expect(drawer).to_contain_text("3 attempts")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()


def find_the_cause(page: Page) -> None:
    main_links(page).get_by_role("link", name="Dead letters").click()
    expect(page.get_by_role("heading", name="3 dead letters by cause")).to_be_visible()
    cause = page.get_by_role("link", name=re.compile("connection 3 from 127.0.0.1"))
    expect(cause).to_contain_text("No connection could be made")
    cause.click()
    expect(page.get_by_role("heading", name="3 from 127.0.0.1")).to_be_visible()


def mend_the_address_and_come_back(page: Page, url: str) -> None:
    here = page.url
    page.get_by_role("link", name="Edit the transport").click()
    field(page, "URL").fill(url)
    page.get_by_role("button", name="Event filter").click()
    expect(field(page, "Event")).to_have_value(re.compile("event:lost-"))
    expect(pane(page)).to_contain_text(f"PUT {url}")
    page.get_by_role("button", name=re.compile("^Save version")).first.click()
    expect(page).to_have_url(here)
    expect(page.get_by_text("version 2 is in use now")).to_be_visible()


def compare_and_replay(page: Page, moved: ReceiverThread) -> None:
    page.get_by_role("button", name="Compare first").click()
    expect(page.get_by_role("heading", name="3 would be sent rendered again")).to_be_visible()
    field(page, "Pace, a second").fill("2")
    page.get_by_role("button", name="Replay 3").click()
    progress = page.get_by_role("progressbar", name="Replayed")
    expect(progress).to_have_attribute("max", "3")
    expect(page.get_by_text("Replaying")).to_be_visible()
    expect(page.get_by_text("Replayed 3 of 3")).to_be_visible()
    bodies = [json.loads(each.body) for each in moved.wait_for("/orders", 3)]
    assert {each["order_id"] for each in bodies} == {"lost-0", "lost-1", "lost-2"}

    page.get_by_role("link", name="Deliveries", exact=True).last.click()
    for number in range(3):
        expect(page.get_by_role("row").filter(has_text=f"lost-{number}")).to_contain_text("delivered")


def an_event_tells_its_fate(page: Page) -> None:
    field(page, "Find an event by id, user or name").fill("lost-1")
    page.keyboard.press("Enter")
    page.get_by_role("row").filter(has_text="lost-1").click()
    fate = page.get_by_role("region", name="Why was this sent, or not?")
    expect(fate).to_contain_text("Order collector")
    expect(fate).to_contain_text("delivered")


def the_audit_tells_who_did_it(page: Page) -> None:
    main_links(page).get_by_role("link", name="Audit").click()
    mine = page.get_by_role("row").filter(has_text=EMAIL)
    for action in ("secret stored", "destination created", "destination went live", "replay started"):
        expect(mine.filter(has=page.get_by_role("link", name=action))).to_have_count(1)
    mine.filter(has_text="destination saved").get_by_text("version, changed").click()
    expect(mine.filter(has_text="destination saved").get_by_role("region", name="Detail")).to_contain_text("transport")
    expect(page.get_by_role("main")).not_to_contain_text(TOKEN)


def main_links(page: Page) -> Locator:
    return page.get_by_role("navigation", name="Main", exact=True)


def field(page: Page, label: str) -> Locator:
    """The field with this label, in the step that is open."""
    return page.get_by_label(label, exact=True).filter(visible=True)


def pane(page: Page) -> Locator:
    """What becomes of the chosen event."""
    return page.get_by_role("complementary", name="The event and what becomes of it")


def body(within: Locator) -> Locator:
    """The bytes of a request's body."""
    return within.get_by_role("region", name=re.compile("^Body, "))


def send(shop: Api, name: str, id: str, *, value: float) -> None:
    """An event, as the shop's backend sends it."""
    event = {
        "event_name": name,
        "event_id": id,
        "platform": "web" if name == "refund_requested" else "shopify",
        "user_data": {"external_id": "u_1"},
        "properties": {"order_id": id, "value": value},
    }
    assert shop.post("/v1/events", event).status == 200


def header(got: Recorded, name: str) -> str:
    return next(value for each, value in got.headers if each.lower() == name)


def signature(body: bytes) -> str:
    """As the guide has the receiver compute it."""
    return "sha256=" + hmac.new(SIGNING_SECRET.encode(), body, hashlib.sha256).hexdigest()
