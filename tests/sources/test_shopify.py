from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sources.shopify_samples import SHOP, checkout, customer, order, refund
from tracklayer.errors import Invalid, TrackLayerError
from tracklayer.model.event import Event, decode_json, encode_json, event_to_json
from tracklayer.pipeline.normalize import normalize
from tracklayer.sources.shopify import TOPICS, Delivery, ShopifySettings, map_webhook

NOW = 1_777_977_001.5
PLAIN = ShopifySettings()


def event(topic: str, payload: Any, settings: ShopifySettings = PLAIN, triggered_at: str | None = None) -> Event:
    delivery = Delivery(topic, SHOP, triggered_at)
    return normalize(map_webhook(decode_json(encode_json(payload)), delivery, settings), now=NOW, new_id=lambda: "made")


def test_an_order_is_a_purchase() -> None:
    purchase = event("orders/create", order())
    assert purchase.event_id == f"shopify:{SHOP}:orders.create:5001"
    assert purchase.event_name == "purchase"
    assert purchase.platform == "shopify"
    assert purchase.occurred_at == "2026-05-05T10:30:00Z"
    assert purchase.properties == {
        "order_id": "5001",
        "order_number": 1001,
        "order_name": "#1001",
        "value": Decimal("149.90"),
        "subtotal": Decimal("140.00"),
        "tax": Decimal("22.35"),
        "discount": Decimal("10.00"),
        "shipping": Decimal("9.90"),
        "currency": "EUR",
        "coupon": "SPRING",
        "source_name": "web",
        "checkout_id": "901",
        "items": [
            {
                "id": "42",
                "variant_id": "43",
                "name": "Mug",
                "variant": "blue",
                "brand": "Mugs",
                "sku": "M-B",
                "quantity": 2,
                "price": Decimal("70.00"),
                "discount": Decimal("0.00"),
            }
        ],
    }
    assert b'"value":149.90' in event_to_json(purchase)


def test_the_buyer_is_known_by_the_customer_the_order_and_the_address() -> None:
    user = event("orders/create", order()).user_data
    del user["email_hash"], user["phone_hash"]
    assert user == {
        "external_id": "77",
        "email": "jane@example.com",
        "phone": "+4930123456",
        "first_name": "Jane",
        "last_name": "Doe",
        "city": "Berlin",
        "state": "BE",
        "postal_code": "10115",
        "country": "DE",
    }


def test_where_the_buyer_came_from_is_kept() -> None:
    context = event("orders/create", order()).context
    assert context["page"] == {
        "url": f"https://{SHOP}/products/mug?utm_source=news&gclid=abc",
        "referrer": "https://search.example/",
    }
    assert context["ip"] == "203.0.113.9"
    assert context["user_agent"] == "Mozilla/5.0"
    assert context["locale"] == "de-DE"
    assert context["shopify"] == {"shop": SHOP, "topic": "orders/create"}


def test_a_refund_is_what_was_paid_back() -> None:
    refunded = event("refunds/create", refund())
    assert refunded.event_name == "refund_requested"
    assert refunded.properties == {
        "order_id": "5001",
        "refund_id": "6001",
        "value": Decimal("80.00"),
        "currency": "EUR",
        "reason": "broken",
        "items": [
            {
                "id": "42",
                "variant_id": "43",
                "name": "Mug",
                "sku": "M-B",
                "quantity": 1,
                "price": Decimal("70.00"),
                "subtotal": Decimal("70.0"),
                "tax": Decimal("11.18"),
            }
        ],
    }


def test_a_refund_that_pays_nothing_back_has_the_value_0_and_its_currency() -> None:
    properties = event("refunds/create", refund(transactions=[])).properties
    assert properties["value"] == 0
    assert properties["currency"] == "EUR"


def test_amounts_of_several_currencies_are_no_sum() -> None:
    card = {"kind": "refund", "status": "success", "amount": "10.00", "currency": "USD"}
    gift = {"kind": "refund", "status": "success", "amount": "5.00", "currency": "EUR"}
    bank = {"kind": "refund", "status": "pending", "amount": "2.00", "currency": "USD"}
    properties = event("refunds/create", refund(transactions=[card, gift, card, bank])).properties
    assert "value" not in properties
    assert "currency" not in properties
    assert properties["amounts"] == [
        {"value": Decimal("20.00"), "currency": "USD"},
        {"value": Decimal("5.00"), "currency": "EUR"},
    ]
    assert properties["pending_amounts"] == [{"value": Decimal("2.00"), "currency": "USD"}]
    assert properties["items"][0]["currency"] == "EUR"  # the shop's


def test_a_transaction_that_failed_chooses_no_currency() -> None:
    failed = {"kind": "refund", "status": "failure", "amount": "9.00", "currency": "EUR"}
    paid = {"kind": "refund", "status": "success", "amount": "9.00", "currency": "USD"}
    properties = event("refunds/create", refund(transactions=[failed, paid])).properties
    assert (properties["value"], properties["currency"]) == (Decimal("9.00"), "USD")


def test_a_lines_amounts_stay_where_its_refund_has_no_one_currency() -> None:
    line = refund()["refund_line_items"][0]
    line = {**line, "subtotal_set": {"shop_money": {"amount": "70.0", "currency_code": "EUR"}}}
    line["line_item"] = {name: it for name, it in line["line_item"].items() if not name.endswith("_set")}
    transactions = [
        {"kind": "refund", "status": "success", "amount": "1.00", "currency": currency} for currency in ("USD", "EUR")
    ]
    item = event("refunds/create", refund(transactions=transactions, refund_line_items=[line])).properties["items"][0]
    assert (item["price"], item["subtotal"]) == (Decimal("70.00"), Decimal("70.0"))


def test_a_refunds_lines_are_in_the_currency_of_its_value_where_shopify_tells_it() -> None:
    (line,) = refund()["refund_line_items"]
    shop, shown = ({"amount": amount, "currency_code": code} for amount, code in (("70.00", "EUR"), ("77.00", "USD")))
    both = {"shop_money": shop, "presentment_money": shown}
    paid = [{"kind": "refund", "status": "success", "amount": "77.00", "currency": "USD"}]
    told = {**line, "subtotal_set": both, "total_tax_set": both, "line_item": line["line_item"] | {"price_set": both}}
    properties = event("refunds/create", refund(transactions=paid, refund_line_items=[told])).properties
    (item,) = properties["items"]
    assert (properties["value"], properties["currency"]) == (Decimal("77.00"), "USD")
    assert (item["price"], item["subtotal"], item["tax"]) == (Decimal("77.00"),) * 3
    assert "currency" not in item
    (item,) = event("refunds/create", refund(transactions=paid)).properties["items"]  # in the shop's alone
    assert (item["price"], item["currency"]) == (Decimal("70.00"), "EUR")


@pytest.mark.parametrize("price, value", [("abc", "abc"), ("1,299.00", Decimal("1299.00")), (True, True)])
def test_a_price_that_is_no_amount_is_kept_as_it_came(price: Any, value: Any) -> None:
    assert event("orders/create", order(total_price=price)).properties["value"] == value


def test_what_a_slow_bank_still_pays_back_is_pending() -> None:
    slow = [{"kind": "refund", "status": "pending", "amount": "80.00", "currency": "EUR"}]
    properties = event("refunds/create", refund(transactions=slow)).properties
    assert (properties["value"], properties["pending"]) == (0, Decimal("80.00"))


def test_a_checkout_is_initiated_and_a_customer_is_a_lead() -> None:
    started = event("checkouts/create", checkout())
    assert started.event_name == "initiate_checkout"
    assert started.properties["checkout_id"] == "901"
    assert started.properties["shipping"] == Decimal("9.90")
    assert started.properties["checkout_url"] == "https://mugs.myshopify.com/recover"
    assert "order_id" not in started.properties
    lead = event("customers/create", customer())
    assert lead.event_name == "lead"
    assert lead.user_data["external_id"] == "77"
    assert lead.user_data["city"] == "Berlin"


def test_the_purchase_and_its_refund_name_the_same_order() -> None:
    purchase, refunded = event("orders/create", order()), event("refunds/create", refund())
    assert purchase.properties["order_id"] == refunded.properties["order_id"]


def test_a_topic_that_nobody_maps_is_refused() -> None:
    with pytest.raises(Invalid, match="no mapping for topic 'products/update'") as caught:
        event("products/update", {"id": 1})
    assert caught.value.code == "no_mapping"


def test_a_source_may_map_more_topics() -> None:
    settings = ShopifySettings(topics={"orders/paid": "purchase", "orders/updated": "order_updated"})
    paid = event("orders/paid", order(), settings, triggered_at="2026-05-05T11:00:00Z")
    assert paid.event_name == "purchase"
    assert paid.occurred_at == "2026-05-05T11:00:00Z"
    first = event("orders/updated", order(updated_at="2026-05-05T12:00:00Z"), settings)
    second = event("orders/updated", order(updated_at="2026-05-05T13:00:00Z"), settings)
    assert first.event_name == "order_updated"
    assert first.event_id != second.event_id


@pytest.mark.parametrize("topic", ["products/create", "orders", "orders/", ""])
def test_a_topic_that_cannot_be_mapped_is_refused_by_the_settings(topic: str) -> None:
    with pytest.raises(Invalid) as caught:
        ShopifySettings(topics={topic: "purchase"}).check()
    assert caught.value.pointer


@pytest.mark.parametrize("shop", ["", "evil.example/x", "a b", "é.example", "x" * 101])
def test_a_shop_that_is_none_is_refused(shop: str) -> None:
    with pytest.raises(Invalid) as caught:
        map_webhook(order(), Delivery("orders/create", shop), PLAIN)
    assert caught.value.code == "no_shop"


def test_an_order_without_an_id_is_refused_for_it_could_not_be_told_again() -> None:
    with pytest.raises(Invalid) as caught:
        event("orders/create", order(id=None))
    assert caught.value.pointer == "/id"


def test_a_landing_site_never_names_another_shop() -> None:
    page = event("orders/create", order(landing_site="//evil.example/x")).context["page"]
    assert page["url"] == f"https://{SHOP}//evil.example/x"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_SAMPLES = {
    "orders/create": order,
    "refunds/create": refund,
    "checkouts/create": checkout,
    "customers/create": customer,
}


@given(topic=st.sampled_from(list(TOPICS)), data=st.data())
def test_any_field_may_be_anything(topic: str, data: st.DataObject) -> None:
    sample = _SAMPLES[topic]()
    changes = data.draw(st.dictionaries(st.sampled_from(list(sample)), _JSON, max_size=4))
    try:
        made = event(topic, sample | changes)
    except TrackLayerError as error:
        assert error.detail
    else:
        assert made.event_name == TOPICS[topic]
