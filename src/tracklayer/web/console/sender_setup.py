"""What to do at the sender, so that it sends to a source: lines to paste, and steps in other products' settings.

Sources: Segment's pages "Analytics for Python", "Analytics on Node.js" and "Webhooks (Actions) Destination"; Shopify's
"Creating webhooks" (Shopify Help Center).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tracklayer.operate.sources import Source
from tracklayer.sources.shopify import TOPICS
from tracklayer.store.sources import SourceType

TYPES: Mapping[SourceType, str] = {
    "segment": "Segment SDK",
    "segment_webhook": "Segment webhook",
    "shopify": "Shopify",
}
"""Type → what people call it."""

_NO_KEY = "WRITE_KEY"


class Lines(NamedTuple):
    """Something to paste."""

    id: str
    title: str
    text: str


def address_of(source: Source, origin: str) -> str:
    """Where it sends: an SDK adds the path itself, a webhook has one of its own."""
    return origin if source.record.type == "segment" else f"{origin}/v1/sources/{source.id}/ingest"


def lines_of(source: Source, origin: str, key: str | None) -> tuple[Lines, ...]:
    """What is pasted into a program that uses an SDK; `key` is known once only."""
    if source.record.type != "segment":
        return ()
    shown = key or _NO_KEY
    python = f'import segment.analytics as analytics\n\nanalytics.write_key = "{shown}"\nanalytics.host = "{origin}"'
    node = (
        'import { Analytics } from "@segment/analytics-node";\n\n'
        f'const analytics = new Analytics({{ writeKey: "{shown}", host: "{origin}" }});'
    )
    return (
        Lines("setup-python", "Python: segment-analytics-python", python),
        Lines("setup-node", "Node: @segment/analytics-node", node),
    )


def steps_of(source: Source) -> tuple[str, ...]:
    """What is done by hand, in order."""
    return _STEPS[source.record.type]


_STEPS: Mapping[SourceType, tuple[str, ...]] = {
    "segment": (
        "Give the SDK of Segment or RudderStack the write key and, as its host, the address above.",
        "Send one call: it is counted here at once, and stands at Events.",
    ),
    "segment_webhook": (
        "At Segment, add the destination Webhooks (Actions) and set its Shared Secret to the secret of this source.",
        "Map the calls to Send with the address above as URL and POST as method, and switch batching off: "
        "Segment signs the first call of a batch only.",
    ),
    "shopify": (
        "In Shopify's admin, open Settings, Notifications, Webhooks, and create a webhook with the format JSON and the "
        f"address above for each event that you want: {', '.join(TOPICS)}.",
        "Shopify shows there with which secret it signs (for the webhooks of an app it is the app's client secret): "
        "set it here as the secret.",
    ),
}
