"""What every page of one destination knows: its head, its tabs, its numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from tracklayer.catalog import Destination
from tracklayer.operate.health import Health
from tracklayer.service import Service


def frame_of(service: Service, destination: Destination, health: Health | None = None) -> dict[str, Any]:
    """The values that `destinations/one.html` asks for."""
    base = f"/settings/destinations/{destination.id}"
    return {
        "destination": destination,
        "config": destination.plan.config,
        "host": urlsplit(destination.plan.config.transport.url).netloc,
        "health": health,
        "base": base,
        "tab_links": [
            ("Overview", base),
            ("Deliveries", f"{base}/deliveries"),
            ("Dead letters", f"{base}/dead-letters"),
            ("Versions", f"{base}/versions"),
            ("Signing", f"{base}/signing"),
            ("Suppressions", f"{base}/suppressions"),
            ("Settings", f"{base}/settings"),
        ],
        "now": service.clock.now(),
    }
