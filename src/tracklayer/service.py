"""The one place that builds things: a TrackLayer in one process, from its settings."""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import ExitStack

import structlog

from tracklayer import logs
from tracklayer.catalog import Catalog, PlanLimits
from tracklayer.data_lock import hold
from tracklayer.errors import Conflict, Unavailable
from tracklayer.flow.attempt import Attempter
from tracklayer.flow.completing import Completing
from tracklayer.flow.counting import Counting
from tracklayer.flow.engine import Engine, EngineOptions
from tracklayer.flow.enriching import Enriching
from tracklayer.flow.foreseeing import Foreseeing
from tracklayer.flow.ingest import Ingest, IngestOptions
from tracklayer.flow.relay import Relay
from tracklayer.flow.tail import Tail
from tracklayer.geo import GeoFile
from tracklayer.hearing import Hearing
from tracklayer.identity import IdFactory
from tracklayer.metrics import Metrics
from tracklayer.operate.audiences import Audiences
from tracklayer.operate.audit import SYSTEM, Audit
from tracklayer.operate.dead_letters import DeadLetters
from tracklayer.operate.destinations import Destinations
from tracklayer.operate.explain import Explain
from tracklayer.operate.health import Vitals
from tracklayer.operate.intake import Intake
from tracklayer.operate.keys import DEFAULT_WORKSPACE, Keys
from tracklayer.operate.maintenance import Maintenance
from tracklayer.operate.passwords import Passwords
from tracklayer.operate.people import People
from tracklayer.operate.recent import Recent
from tracklayer.operate.rehearsal import Rehearsals
from tracklayer.operate.rejected import RejectedPayloads
from tracklayer.operate.replays import Replays
from tracklayer.operate.review import Reviews
from tracklayer.operate.search import Search
from tracklayer.operate.secrets import Secrets
from tracklayer.operate.source_counting import SourceCounting
from tracklayer.operate.sources import Sources
from tracklayer.operate.storage import Storage
from tracklayer.operate.workspace_rules import Workspaces
from tracklayer.ports import Clock, Rng, SystemClock, Transport
from tracklayer.settings import Settings
from tracklayer.sources.native import InputLimits
from tracklayer.store import (
    AudienceStore,
    AuditStore,
    Configuration,
    History,
    PeopleStore,
    Queue,
    RulesStore,
    open_database,
)
from tracklayer.store.causes import Causes
from tracklayer.store.clock import SharedClock, read_once
from tracklayer.store.counts import Counts
from tracklayer.store.facts import FactsReader
from tracklayer.store.failures import Failures
from tracklayer.store.key_checks import KeyChecks
from tracklayer.store.listening import Listening
from tracklayer.store.moving import refuse_half_moved
from tracklayer.store.paces import Paces
from tracklayer.store.profiles import Profiles
from tracklayer.store.queue import Backlog
from tracklayer.store.rejected import RejectedStore
from tracklayer.store.retention import retention
from tracklayer.store.search import EventSearch
from tracklayer.store.sources import SourceStore
from tracklayer.store.volume import Volume, Volumes
from tracklayer.template import Limits
from tracklayer.transport import HttpTransport
from tracklayer.vault import Vault, VaultError, load_or_make_master_key

SCRAPE_PATIENCE = 4.0  # seconds that a scrape waits for the database; Prometheus gives up after 10
MASTER_KEY = "the master key"  # what is sealed with it, to know it again

log = structlog.get_logger("tracklayer")


class Service:
    """Everything that runs, wired together. `start` and `stop` are its whole life."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        rng: Rng | None = None,
        transport: Transport | None = None,
    ) -> None:
        """The ports default to the machine's own clock, network and chance; a simulation brings its own."""
        self.settings = settings
        self._database = open_database(settings.database_url, connections=settings.database_connections)
        if settings.role != "all" and not self._database.shared:
            raise Conflict(f"role {settings.role} needs postgresql://…: on SQLite one process does all", code="role")
        self._shared_clock = shared_clock = SharedClock()
        self.clock = clock or (shared_clock if self._database.shared else SystemClock())
        self.rng = rng or random.Random(os.urandom(16))  # noqa: S311 (ids and jitter; keys come from the system)
        self.input_limits = InputLimits(event_bytes=settings.event_limit, batch_events=settings.batch_limit)
        self.ids = IdFactory(self.clock.now, self.rng)
        self.metrics = Metrics()
        self.tail = Tail()
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_file = settings.data_dir / "master.key"
        self._new_key_file = None if settings.master_key or key_file.exists() else key_file
        self._vault = vault = Vault(settings.master_key or load_or_make_master_key(key_file))
        self.console_secret = vault.derive("console: CSRF tokens")
        configuration = Configuration(self._database)
        worker = f"wrk_{self.rng.getrandbits(80):020x}"
        self._queue = Queue(self._database, worker=worker, dedup_window=settings.dedup_window)
        self.history = History(self._database)
        limits = PlanLimits(
            template=Limits(source_bytes=settings.template_limit, output_bytes=settings.body_limit),
            filter_depth=settings.filter_depth,
        )
        rules = RulesStore(self._database)
        self.catalog = Catalog(configuration, rules, AudienceStore(self._database), vault, limits)
        self.enriching = Enriching(
            None if settings.geo_file is None else GeoFile(settings.geo_file),
            self.metrics,
            time.monotonic if clock is None else clock.now,  # in a simulation nothing is skipped for being late
        )
        self._transport = transport or HttpTransport(settings.allow_networks, response_limit=settings.response_limit)
        attempter = Attempter(self._transport, self.clock, vault)
        counts = Counts(self._database)
        self._counting = Counting(counts, self.clock)
        profiles = Profiles(self._database)
        self.engine = Engine(
            self.catalog,
            self._queue,
            Paces(self._database),
            attempter,
            self.clock,
            self.rng,
            self.metrics,
            self._counting,
            self.tail,
            profiles.consent_now,
            EngineOptions(
                concurrency=settings.concurrency,
                lease=settings.lease,
                queue_bytes=settings.queue_bytes,
                delivers=settings.role != "api",
            ),
        )
        self.completing = Completing(self.catalog, self.enriching)
        self.ingest = Ingest(
            self.catalog,
            self.completing,
            self._queue,
            self.engine,
            self.clock,
            self.ids,
            self.metrics,
            self._counting,
            self.tail,
            IngestOptions(waiting_events=settings.ingest_queue),
        )
        self.audit = Audit(AuditStore(self._database), self.clock, self.ids)
        self.audiences = Audiences(
            self.catalog,
            AudienceStore(self._database),
            FactsReader(self._database),
            self.enriching,
            self.audit,
            self.clock,
        )
        self.people = People(
            PeopleStore(self._database), Failures(self._database), Passwords(), self.audit, self.clock, self.ids
        )
        self.workspaces = Workspaces(self.catalog, rules, self.audit, self.clock)
        self.maintenance = Maintenance(self._database, retention(settings), self.clock, self.metrics)
        self.storage = Storage(Volumes(self._database), self.maintenance, self.clock, settings.data_dir)
        self._take_from_sources(vault)
        self._let_operate(configuration, counts, profiles, attempter)
        self.started_at = self.clock.now()
        self._lock: ExitStack | None = None
        self._relay = Relay(self.tail, self._database.tell, self.clock, worker)
        if self._database.shared:
            self.tail.on_watch, self.tail.on_note = self._relay.watching, self._relay.pass_on
        self._hearing = Hearing(self.catalog, self.sources, self.engine, self._relay, self.maintenance, self.clock)
        self._listening = (
            Listening(settings.database_url, shared_clock, self._hearing.hear, self._hearing.resume)
            if self._database.shared
            else None
        )
        self._running = False
        self._scrape: asyncio.Task[tuple[list[Backlog], Volume] | None] | None = None

    def _let_operate(
        self, configuration: Configuration, counts: Counts, profiles: Profiles, attempter: Attempter
    ) -> None:
        """Build what people work with."""
        self.keys = Keys(self.catalog, configuration, KeyChecks(self._database), self.audit, self.clock, self.ids)
        self.secrets = Secrets(self.catalog, configuration, self.engine, self._vault, self.audit, self.clock)
        self.destinations = Destinations(
            self.catalog,
            configuration,
            self._queue,
            self.engine,
            self._vault,
            self.audit,
            self.clock,
            self.ids,
            most=self.settings.destinations_limit,
        )
        self.dead_letters = DeadLetters(
            self.catalog,
            self.history,
            Causes(self._database),
            self._queue,
            self.engine,
            attempter,
            profiles.consent_now,
            self.audit,
            self.clock,
        )
        self.replays = Replays(self.dead_letters, self.history, self.audit, self.clock, self.ids)
        self.health = Vitals(self.catalog, counts, self._queue, self.clock)
        self.search = Search(EventSearch(self._database))
        self.recent = Recent(self.catalog, self.history, self.clock)
        foreseeing = Foreseeing(self.catalog, FactsReader(self._database), self.enriching, self.clock)
        self.explain = Explain(
            self.catalog,
            configuration,
            self.history,
            self.engine,
            foreseeing,
            profiles.consent_now,
            self.audit,
            self.clock,
        )
        self.rehearsals = Rehearsals(
            self.catalog,
            self.destinations,
            self._queue,
            self.engine,
            attempter,
            foreseeing,
            profiles.consent_now,
            self.clock,
            self.ids,
        )
        self.reviews = Reviews(self.catalog, self.destinations, self.history, self.engine, attempter, self.clock)

    def _take_from_sources(self, vault: Vault) -> None:
        """Build what takes in what sources send."""
        source_store, rejected_store = SourceStore(self._database), RejectedStore(self._database)
        self._source_counting = SourceCounting(source_store, self.clock)
        self.sources = Sources(source_store, self._source_counting, vault, self.audit, self.clock, self.ids)
        self.intake = Intake(
            self.catalog,
            self.ingest,
            source_store,
            rejected_store,
            self._source_counting,
            self.metrics,
            self.ids,
            self.input_limits,
        )
        self.rejected = RejectedPayloads(
            rejected_store,
            self.sources,
            self.intake,
            self.ingest,
            self.history,
            self._source_counting,
            self.audit,
            self.clock,
            dedup_window=self.settings.dedup_window,
        )

    async def prepare(self) -> str | None:
        """Open the store and load the catalog, without delivering; answers the first admin key where it made one."""
        if self._database.shared and not self._shared_clock.is_set:  # nobody listens
            await read_once(self._shared_clock, self._database)
        async with self._database.alone():
            return await self._prepare()

    async def _prepare(self) -> str | None:
        await self._database.migrate()
        await refuse_half_moved(self._database)
        sealed = await KeyChecks(self._database).first(MASTER_KEY, self._vault.seal(MASTER_KEY, purpose=MASTER_KEY))
        try:
            self._vault.open(sealed, purpose=MASTER_KEY)
        except VaultError as error:
            if self._new_key_file is None:
                ours = "TRACKLAYER_MASTER_KEY" if self.settings.master_key else self.settings.data_dir / "master.key"
                raise VaultError(
                    f"{ours} is another master key than the one that this database was saved with"
                ) from error
            self._new_key_file.unlink()  # or it would be taken for the one that is missing
            raise VaultError(
                f"{self._new_key_file} is missing: it has the master key that this database was saved with; "
                "put it there, or set TRACKLAYER_MASTER_KEY"
            ) from error
        await self.catalog.load()
        await self.sources.load()
        workspace = await self.keys.workspace(DEFAULT_WORKSPACE)
        if self.settings.admin_key is not None:
            await self.keys.take_over(workspace.id, self.settings.admin_key, name="TRACKLAYER_ADMIN_KEY", author=SYSTEM)
        if any("admin" in key.scopes for key in self.keys.all(workspace.id)):
            return None
        _, key = await self.keys.create(workspace.id, name="first admin key", scopes=("admin",), author=SYSTEM)
        return key

    async def setup_token(self) -> str | None:
        """The token of a link for the very first person; None where there is somebody."""
        return await self.people.setup((await self.keys.workspace(DEFAULT_WORKSPACE)).id)

    async def start(self) -> None:
        """Take the data directory, prepare, and deliver."""
        if self._listening is None:
            self._lock = hold(self.settings)
        else:
            await self._listening.start()  # first, so that no change is missed and every time is the database's
        key = await self.prepare()
        if key is not None:
            logs.tell(f"\n  Your admin API key, shown this once:\n\n    {key}\n")
        self.started_at = self.clock.now()
        await asyncio.to_thread(self.enriching.warm)
        released = 0 if self._database.shared else await self._queue.release_all(now=self.clock.now())
        await self.engine.start()
        self._hearing.start()
        await self.maintenance.start()
        self._running = True
        log.info("started", role=self.settings.role, data_dir=str(self.settings.data_dir), resumed_deliveries=released)

    async def stop(self) -> None:
        """Finish what is in flight within the stop timeout, give the rest back, and close."""
        self._running = False
        self.tail.close()
        started = time.monotonic()
        if self._listening is not None:
            await self._listening.stop()
        await self._hearing.stop()
        await self._relay.stop()
        await self.maintenance.stop()
        await self.replays.stop()
        try:
            await self.engine.stop(self.settings.stop_timeout)
        except Unavailable as error:
            log.warning("stopped_without_release", error=error.detail)
        await self._counting.stop()
        await self._source_counting.stop()
        await self.close()
        if self._lock is not None:
            self._lock.close()
        log.info("stopped", seconds=round(time.monotonic() - started, 3))

    async def close(self) -> None:
        """Let go of connections."""
        if self._scrape is not None:
            self._scrape.cancel()
        await self._transport.close()
        await self._database.close()
        self.enriching.close()

    async def check(self) -> None:
        """Raise `Unavailable` unless the store commits and deliveries flow."""
        if not self._running:
            raise Unavailable("starting or stopping")
        await self._database.ping()

    async def exposition(self) -> bytes:
        """The metrics as text; where the database does not answer, those of this process."""
        if self._scrape is None or self._scrape.done():
            self._scrape = asyncio.create_task(self._stored())
        await asyncio.wait([self._scrape], timeout=SCRAPE_PATIENCE)
        stored = self._scrape.result() if self._scrape.done() else None
        ids = [destination.id for destination in self.catalog.destinations()]
        return self.metrics.exposition(ids, stored, self.clock.now())

    async def _stored(self) -> tuple[list[Backlog], Volume] | None:
        try:
            return await self._queue.backlog(), await self.storage.volume()
        except Unavailable:
            return None
