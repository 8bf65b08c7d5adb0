"""What it costs to make an event whole: taking events in with everything on beside everything off, in turns.

In this process and without HTTP, from the bytes of a batch to the commit: what is the same for both would only bring
the ratio nearer to 1.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.measure import median
from tests.geo_file import write_geo_file
from tracklayer.operate.keys import DEFAULT_WORKSPACE
from tracklayer.service import Service
from tracklayer.settings import Settings
from tracklayer.sources.native import parse_batch

AIM = 0.75  # events a second with all of it on, for one with it off
EVENTS = 20_000  # a round
BATCH = 100
ROUNDS = 5
USERS = 2_000
OFF = {
    "clock_skew": False,
    "enrichment": dict.fromkeys(("user_agent", "campaign", "traits", "audiences", "geo"), False),
}
ON = {"consent_defaults": {"EEA": {"ad_personalization": "denied"}, "*": {"ad_user_data": "granted"}}}
PLACES = {
    f"203.0.{part}.0/24": {
        "country": {"iso_code": "DE"},
        "subdivisions": [{"iso_code": "BE"}],
        "city": {"names": {"en": "Berlin"}},
        "location": {"time_zone": "Europe/Berlin"},
    }
    for part in range(256)
}
AGENTS = tuple(
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{version}.0.0.0"
    for version in range(90, 140)
)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Events a second, round by round; and the CPU that one takes, which other work on the machine changes less."""

    on: tuple[float, ...]
    off: tuple[float, ...]
    cpu_on: tuple[float, ...]  # seconds an event
    cpu_off: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return median(self.on) / median(self.off)


def measure(*, quick: bool, say: Callable[[str], None], data_dir: Path | None = None) -> Measured:
    """Take the same events in, with all on and with all off."""
    return asyncio.run(_measure(EVENTS // (20 if quick else 1), 2 if quick else ROUNDS, say, data_dir))


def page(measured: Measured) -> str:
    """The result, as text."""
    verdict = "met" if measured.ratio >= AIM else "MISSED"
    return (
        f"taking events in, batches of {BATCH}, without HTTP and without destinations\n"
        f"  everything on   {median(measured.on):>8,.0f} events/s  {median(measured.cpu_on) * 1e6:>6.0f} µs of CPU\n"
        f"  everything off  {median(measured.off):>8,.0f} events/s  {median(measured.cpu_off) * 1e6:>6.0f} µs\n"
        f"  ratio           {measured.ratio:>8.2f}  (aim {AIM}: {verdict})"
    )


def document(measured: Measured) -> dict[str, object]:
    """The result, for programs."""
    return {**asdict(measured), "ratio": measured.ratio, "aim": AIM}


async def _measure(events: int, rounds: int, say: Callable[[str], None], data_dir: Path | None) -> Measured:
    rates: dict[str, list[float]] = {"on": [], "off": []}
    cpu: dict[str, list[float]] = {"on": [], "off": []}
    with tempfile.TemporaryDirectory(prefix="tracklayer-bench-", dir=data_dir) as root:
        async with AsyncExitStack() as stack:
            services: dict[str, Service] = {}
            ids: dict[str, str] = {}
            for name in rates:
                geo_file = write_geo_file(Path(root) / "places.mmdb", PLACES) if name == "on" else None
                service = Service(Settings(data_dir=Path(root) / name, geo_file=geo_file))
                await service.start()
                stack.push_async_callback(service.stop)
                services[name] = service
                ids[name] = (await service.keys.workspace(DEFAULT_WORKSPACE)).id
            on, off = services["on"], services["off"]
            await _fill(on, ids["on"])
            await on.workspaces.save_rules(ids["on"], ON, "bench")
            await off.workspaces.save_rules(ids["off"], OFF, "bench")
            for number in range(rounds + 1):  # the first one warms up
                say(f"round {number} of {rounds}")
                bodies = [_batch(number, start) for start in range(0, events, BATCH)]
                for name, service in services.items():
                    before = time.process_time()
                    seconds = await _take(service, ids[name], bodies)
                    if number > 0:
                        rates[name].append(events / seconds)
                        cpu[name].append((time.process_time() - before) / events)
    return Measured(on=tuple(rates["on"]), off=tuple(rates["off"]), cpu_on=tuple(cpu["on"]), cpu_off=tuple(cpu["off"]))


async def _fill(service: Service, workspace_id: str) -> None:
    """What a shop has: users who are known, a list, rules."""
    for start in range(0, USERS, BATCH):
        known = [
            {
                "event_name": "identify",
                "user_id": f"u_{number}",
                "context": {"traits": {"email": f"user{number}@shop.example", "plan": "gold", "firstName": "Ann"}},
            }
            for number in range(start, start + BATCH)
        ]
        await _take(service, workspace_id, [json.dumps({"events": known}).encode()])
    await service.audiences.put(workspace_id, "vip_customers", None, author="bench")
    members = [f"id:u_{number}" for number in range(0, USERS, 3)]
    await service.audiences.change_members(workspace_id, "vip_customers", add=members, author="bench")
    for name, rule in (
        ("big_spenders", {"properties.value": {"$gte": 100}}),
        ("gold", {"traits.plan": "gold"}),
        ("from_news", {"context.campaign.source": "news"}),
    ):
        await service.audiences.put(workspace_id, name, rule, author="bench")


async def _take(service: Service, workspace_id: str, bodies: list[bytes]) -> float:
    """Seconds from the first batch to the last commit."""
    started = time.perf_counter()
    for body in bodies:
        now = service.clock.now()
        rules = service.catalog.tenant(workspace_id).rules.before_enriching
        parsed = parse_batch(body, now=now, new_id=service.ids.event_uuid, limits=service.input_limits, rules=rules)
        await service.ingest.accept(workspace_id, parsed, now=now, size=len(body))  # type: ignore[arg-type]  # none is bad
    return time.perf_counter() - started


def _batch(number: int, start: int) -> bytes:
    """A purchase on a web page, as a browser's SDK sends it."""
    events = [
        {
            "event_id": f"r{number}_{place}",
            "event_name": "Order Completed",
            "platform": "web",
            "user_id": f"u_{place * 7 % USERS}",
            "user_data": {"phone": f"(415) 555-{place % 10_000:04}"},
            "properties": {"order_id": str(place), "value": place % 300 + 0.5, "currency": "usd"},
            "context": {
                "user_agent": AGENTS[place % len(AGENTS)],
                "ip": f"203.0.{place % 256}.{place % 250}",
                "page": {"url": f"https://shop.example/thanks?utm_source=news&utm_medium=email&gclid=g{place}"},
            },
            "consent": {"ad_storage": "granted", "analytics_storage": "granted"},
        }
        for place in range(start, start + BATCH)
    ]
    return json.dumps({"events": events}).encode()
