"""The canonical names of events, and what others call them: the specifications of Segment, Google Analytics 4, Meta,
TikTok and Shopify's customer events. docs/event.md shows this table."""

from __future__ import annotations

from collections.abc import Mapping

from tracklayer.model.rules import name_key

NAMES: dict[str, tuple[str, ...]] = {
    "purchase": ("Order Completed", "Checkout Completed", "Complete Payment", "CompletePayment"),
    "refund_requested": ("Order Refunded", "Refund", "Refund Requested"),
    "order_cancelled": ("Order Canceled",),
    "order_updated": (),
    "initiate_checkout": ("Checkout Started", "Begin Checkout", "InitiateCheckout"),
    "checkout_step_viewed": (),
    "checkout_step_completed": (),
    "add_payment_info": ("Payment Info Entered", "Payment Info Submitted", "AddPaymentInfo"),
    "add_shipping_info": ("Shipping Info Entered", "Checkout Shipping Info Submitted", "AddShippingInfo"),
    "add_to_cart": ("Product Added", "Product Added to Cart", "AddToCart"),
    "remove_from_cart": ("Product Removed", "Product Removed from Cart"),
    "view_cart": ("Cart Viewed",),
    "view_item": ("Product Viewed", "View Content", "ViewContent"),
    "view_item_list": ("Product List Viewed", "Collection Viewed"),
    "select_item": ("Product Clicked",),
    "view_promotion": ("Promotion Viewed",),
    "select_promotion": ("Promotion Clicked",),
    "add_to_wishlist": ("Product Added to Wishlist", "AddToWishlist"),
    "remove_from_wishlist": ("Product Removed from Wishlist",),
    "search": ("Products Searched", "Search Submitted", "View Search Results"),
    "lead": (
        "Signed Up",
        "Sign Up",
        "Complete Registration",
        "CompleteRegistration",
        "Generate Lead",
        "Lead Generated",
        "Account Created",
    ),
    "login": ("Signed In", "Logged In"),
    "logout": ("Signed Out", "Logged Out"),
    "start_trial": ("Trial Started", "StartTrial"),
    "subscribe": ("Subscribed", "Subscription Started"),
    "share": ("Product Shared", "Cart Shared"),
    "contact": (),
    "page_view": ("Page", "Page Viewed", "PageView"),
    "screen_view": ("Screen", "Screen Viewed", "ScreenView"),
    "identify": (),
    "group": (),
    "alias": (),
}
"""A canonical name → the names that become it, in any spelling that `name_key` holds for the same."""

_BUILT_IN = {name_key(each): name for name, aliases in NAMES.items() for each in (name, *aliases)}
_LONGEST_WAY = 8  # aliases of aliases


def canonical_name(name: str, own: Mapping[str, str | None]) -> str:
    """The canonical name of an event that is called `name`, which is `name` itself where nobody knows it.

    `own` are the workspace's aliases (`WorkspaceRules.names_by_key`); they come before the built-in ones, and what an
    alias leads to may be an alias again.
    """
    if not own and name in NAMES:
        return name
    for _ in range(_LONGEST_WAY):
        further = _next(name, own)
        if further == name:
            break
        name = further
    return name


def is_endless(name: str, own: Mapping[str, str | None]) -> bool:
    """Whether the aliases of `name` lead in a circle, or on and on."""
    reached = canonical_name(name, own)
    return _next(reached, own) != reached


def _next(name: str, own: Mapping[str, str | None]) -> str:
    key = name_key(name)
    target = own[key] if key in own else _BUILT_IN.get(key)
    return name if target is None else target
