"""Webhooks with the fields and the shapes that Shopify's reference documents, made up for the tests."""

from __future__ import annotations

from typing import Any

SHOP = "mugs.myshopify.com"


def money(amount: str, currency: str = "EUR") -> dict[str, Any]:
    both = {"amount": amount, "currency_code": currency}
    return {"shop_money": both, "presentment_money": both}


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": 5001,
        "name": "#1001",
        "order_number": 1001,
        "email": "Jane@Example.com",
        "phone": None,
        "created_at": "2026-05-05T12:30:00+02:00",
        "updated_at": "2026-05-05T12:30:02+02:00",
        "currency": "EUR",
        "total_price": "149.90",
        "subtotal_price": "140.00",
        "total_tax": "22.35",
        "total_discounts": "10.00",
        "total_shipping_price_set": money("9.90"),
        "discount_codes": [{"code": "SPRING", "amount": "10.00", "type": "fixed_amount"}],
        "landing_site": "/products/mug?utm_source=news&gclid=abc",
        "referring_site": "https://search.example/",
        "browser_ip": "203.0.113.9",
        "client_details": {"user_agent": "Mozilla/5.0", "browser_ip": "203.0.113.9"},
        "customer_locale": "de-DE",
        "source_name": "web",
        "test": False,
        "checkout_id": 901,
        "customer": {"id": 77, "email": "jane@example.com", "first_name": "Jane", "last_name": "Doe"},
        "billing_address": {
            "first_name": "Jane", "last_name": "Doe", "phone": "+4930123456", "city": "Berlin",
            "province_code": "BE", "zip": "10115", "country_code": "DE",
        },
        "line_items": [
            {"id": 1, "product_id": 42, "variant_id": 43, "title": "Mug", "variant_title": "blue", "sku": "M-B",
             "vendor": "Mugs", "price": "70.00", "quantity": 2, "total_discount": "0.00"},
        ],
    } | changes  # fmt: skip


def refund(**changes: Any) -> dict[str, Any]:
    line = {"product_id": 42, "variant_id": 43, "title": "Mug", "sku": "M-B", "price": "70.00", "quantity": 2}
    return {
        "id": 6001,
        "order_id": 5001,
        "created_at": "2026-05-06T08:00:00Z",
        "note": "broken",
        "refund_line_items": [
            {"id": 1, "quantity": 1, "line_item": line, "subtotal": 70.0, "total_tax": 11.18,
             "subtotal_set": money("70.00")},
        ],
        "transactions": [
            {"id": 1, "kind": "refund", "status": "success", "amount": "60.05", "currency": "EUR"},
            {"id": 2, "kind": "refund", "status": "success", "amount": "19.95", "currency": "EUR"},
            {"id": 3, "kind": "refund", "status": "failure", "amount": "80.00", "currency": "EUR"},
            {"id": 4, "kind": "sale", "status": "success", "amount": "149.90", "currency": "EUR"},
        ],
    } | changes  # fmt: skip


def checkout(**changes: Any) -> dict[str, Any]:
    return {
        "id": 901,
        "token": "t",
        "email": "jane@example.com",
        "created_at": "2026-05-05T12:00:00Z",
        "currency": "EUR",
        "total_price": "149.90",
        "subtotal_price": "140.00",
        "total_tax": "22.35",
        "total_discounts": "0.00",
        "shipping_lines": [{"price": "4.90"}, {"price": "5.00"}],
        "abandoned_checkout_url": "https://mugs.myshopify.com/recover",
        "line_items": [{"product_id": 42, "title": "Mug", "price": "70.00", "quantity": 2}],
        "customer": {"id": 77},
    } | changes


def customer(**changes: Any) -> dict[str, Any]:
    return {
        "id": 77,
        "email": "jane@example.com",
        "phone": "+4930123456",
        "first_name": "Jane",
        "last_name": "Doe",
        "created_at": "2026-05-04T10:00:00Z",
        "updated_at": "2026-05-04T10:00:00Z",
        "currency": "EUR",
        "default_address": {"city": "Berlin", "zip": "10115", "country_code": "DE", "province_code": "BE"},
    } | changes
