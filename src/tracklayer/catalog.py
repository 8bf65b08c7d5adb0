"""What is configured, compiled and at hand: every workspace's rules, destinations, keys and secrets.

The hot path reads only from here. Whoever changes the configuration writes it to the store first and then calls
`load_…`, which replaces whole immutable values, so a reader sees the old or the new one and never a mixture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
import structlog

from tracklayer.delivery.classify import Rules, compile_rules
from tracklayer.delivery.limits import Limit, compile_limit
from tracklayer.delivery.render import Renderer
from tracklayer.delivery.retry import RetryPolicy, compile_policy
from tracklayer.delivery.sign import Keys
from tracklayer.errors import Conflict, Invalid, NotFound, at
from tracklayer.model.destination import Consent, DestinationConfig, DestinationStatus, Transport
from tracklayer.model.records import ApiKey, DestinationRecord, SealedSecret, Suppression, Workspace
from tracklayer.model.rules import WorkspaceRules
from tracklayer.pipeline.audience import Audiences, compile_audiences
from tracklayer.pipeline.consent import compile_defaults
from tracklayer.pipeline.filter import MAX_DEPTH, Filter, compile_filter
from tracklayer.pipeline.redaction import Redaction, compile_redaction
from tracklayer.pipeline.regions import ConsentDefaults
from tracklayer.pipeline.route import RouteTable
from tracklayer.store import AudienceStore, Configuration, RulesStore
from tracklayer.template import Limits
from tracklayer.vault import Vault

log = structlog.get_logger("tracklayer")


class PlanLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one configuration may ask for."""

    template: Limits = Limits()
    filter_depth: int = MAX_DEPTH


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A destination's configuration, compiled: everything that could be refused has been."""

    config: DestinationConfig
    filter: Filter
    renderer: Renderer
    rules: Rules
    retry: RetryPolicy
    limit: Limit | None
    redaction: Redaction  # what an event goes without where consent is denied


def compile_plan(config: DestinationConfig, limits: PlanLimits) -> Plan:
    """Compile a configuration. Raises `Invalid` with a pointer to the field that is at fault.

    What was saved once goes on working: a check that an older release did not make is `draft_config`'s.
    """
    with at("filter"):
        compiled_filter = compile_filter(config.filter, max_depth=limits.filter_depth)
    return Plan(
        config=config,
        filter=compiled_filter,
        renderer=Renderer(config, limits.template),
        rules=compile_rules(config.retry, config.success),
        retry=compile_policy(config.retry),
        limit=compile_limit(config.rate_limit),
        redaction=_redaction(config.consent),
    )


def stored_plan(config: DestinationConfig, limits: PlanLimits) -> tuple[Plan, str | None]:
    """The plan of a stored configuration; of one that cannot be compiled what stands in for it, and why, place first.

    That one has the filter where that can be compiled, and otherwise none (the place is `/filter…`). It is not sent by.
    """
    try:
        return compile_plan(config, limits), None
    except Invalid as error:
        why = _why(error)
    try:
        event_filter = compile_filter(config.filter, max_depth=limits.filter_depth)
    except Invalid:
        event_filter = compile_filter({})
    blank = DestinationConfig(name=config.name, transport=Transport(url="https://unusable.invalid"))
    return msgspec.structs.replace(compile_plan(blank, limits), config=config, filter=event_filter), why


def _why(error: Invalid) -> str:
    return f"{error.pointer}: {error.detail.splitlines()[0]}"


def _redaction(policy: Consent | None) -> Redaction:
    if policy is None:
        return ()
    with at("consent"):
        if policy.when_denied == "redact" and not policy.redact:
            raise Invalid(
                "when_denied is redact, and no field is redacted: expected paths such as user_data.email",
                code="required",
                pointer="/redact",
            )
        return compile_redaction(policy.redact or ())


class ActiveSuppression(msgspec.Struct, frozen=True, kw_only=True):
    """A suppression with its filter compiled."""

    record: Suppression
    filter: Filter

    def stops(self, fields: Mapping[str, object], now: float) -> bool:
        """Whether it keeps this event back at `now`."""
        return (self.record.until is None or now < self.record.until) and self.filter.matches(fields)


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """A destination at its current version, ready to route to and to send with."""

    record: DestinationRecord
    plan: Plan
    signing_secret: str | None
    previous_secret: str | None
    suppressions: tuple[ActiveSuppression, ...] = ()
    unusable: str | None = None  # why, place first, it cannot be sent to as it was saved: what is for it waits

    @property
    def id(self) -> str:
        """Its id, `dst_…`."""
        return self.record.id

    @property
    def is_live(self) -> bool:
        """Whether what is for it may be sent."""
        return self.record.status is DestinationStatus.ACTIVE and self.unusable is None

    @property
    def asks_for_consent(self) -> bool:
        """Whether what users consent to decides anything here."""
        policy = self.plan.config.consent
        return policy is not None and bool(policy.requires)

    @property
    def keeps_order(self) -> bool:
        """Whether a user's events go one after the other."""
        return self.plan.config.ordering == "per_user"

    def keys(self, now: float) -> Keys | None:
        """The signing secrets in force at `now`; None: requests are not signed."""
        if self.plan.config.signing is None or self.signing_secret is None:
            return None
        overlaps = self.record.previous_until is not None and now < self.record.previous_until
        return Keys(current=self.signing_secret, previous=self.previous_secret if overlaps else None)

    def suppression(self, fields: Mapping[str, object], now: float) -> Suppression | None:
        """The first suppression that keeps this event back."""
        return next((each.record for each in self.suppressions if each.stops(fields, now)), None)


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one workspace."""

    workspace: Workspace
    rules: WorkspaceRules
    destinations: dict[str, Destination]
    routes: RouteTable[Destination]
    secrets: dict[str, str]
    sealed: dict[str, SealedSecret]
    audiences: Audiences = Audiences()
    consent_defaults: ConsentDefaults = ConsentDefaults({})


class Catalog:
    """All workspaces, from the store, compiled."""

    def __init__(
        self,
        configuration: Configuration,
        rules: RulesStore,
        audiences: AudienceStore,
        vault: Vault,
        limits: PlanLimits,
    ) -> None:
        self._configuration = configuration
        self._rules = rules
        self._audiences = audiences
        self._vault = vault
        self.limits = limits
        self._tenants: dict[str, Tenant] = {}
        self._keys: dict[str, ApiKey] = {}
        self._loading = asyncio.Lock()  # or an older view of the store could replace a newer one

    async def load(self) -> None:
        """Read everything."""
        for workspace in await self._configuration.workspaces():
            await self.load_workspace(workspace)
        await self.load_keys()

    async def refresh(self, workspace_id: str) -> None:
        """Read one workspace again that another process has changed, or made."""
        for workspace in await self._configuration.workspaces():
            if workspace.id == workspace_id:
                await self.load_workspace(workspace)

    async def load_keys(self) -> None:
        """Read the API keys again, and the workspaces that another process has made for them."""
        async with self._loading:
            keys = await self._configuration.api_keys()
            if any(key.workspace_id not in self._tenants for key in keys):
                for workspace in await self._configuration.workspaces():
                    if workspace.id not in self._tenants:
                        await self._load_workspace(workspace)
            self._keys = {key.hash: key for key in keys}

    async def load_workspace(self, workspace: Workspace) -> None:
        """Read one workspace's rules, destinations and secrets again."""
        async with self._loading:
            await self._load_workspace(workspace)

    async def _load_workspace(self, workspace: Workspace) -> None:
        sealed = {
            secret.name: secret for secret in await self._configuration.secrets() if secret.workspace_id == workspace.id
        }
        suppressions = [each for each in await self._configuration.suppressions() if each.workspace_id == workspace.id]
        known = self._tenants.get(workspace.id)
        destinations = {
            record.id: self._destination(record, suppressions, known)
            for record in await self._configuration.destinations()
            if record.workspace_id == workspace.id
        }
        rules = await self._rules.of(workspace.id)
        self._tenants[workspace.id] = Tenant(
            workspace=workspace,
            rules=rules,
            consent_defaults=compile_defaults(rules.consent_defaults),
            audiences=compile_audiences(
                {each.name: each.rule for each in await self._audiences.of(workspace.id)},
                max_depth=self.limits.filter_depth,
            ),
            destinations=destinations,
            routes=RouteTable(
                (destination.plan.filter, destination)
                for destination in destinations.values()
                if destination.record.status is not DestinationStatus.DRAFT
            ),
            secrets={
                name: self._vault.open(secret.sealed, purpose=secret_purpose(workspace.id, name))
                for name, secret in sealed.items()
            },
            sealed=sealed,
        )

    async def reload(self, workspace_id: str) -> Tenant:
        """Read a known workspace again."""
        await self.load_workspace(self.tenant(workspace_id).workspace)
        return self.tenant(workspace_id)

    def key(self, key_hash: str) -> ApiKey | None:
        """The API key with that hash."""
        return self._keys.get(key_hash)

    def keys(self, workspace_id: str) -> list[ApiKey]:
        """A workspace's API keys."""
        return [key for key in self._keys.values() if key.workspace_id == workspace_id]

    def tenant(self, workspace_id: str) -> Tenant:
        """A workspace. Raises `KeyError`: ids of workspaces come from keys, so a wrong one is our own fault."""
        return self._tenants[workspace_id]

    def destinations(self) -> list[Destination]:
        """Every destination of every workspace."""
        return [each for tenant in self._tenants.values() for each in tenant.destinations.values()]

    def destination(self, workspace_id: str, destination_id: str) -> Destination:
        """One destination. Raises `NotFound`."""
        found = self.tenant(workspace_id).destinations.get(destination_id)
        if found is None:
            raise NotFound(f"there is no destination {destination_id!r} in this workspace")
        return found

    def _destination(
        self, record: DestinationRecord, suppressions: list[Suppression], known: Tenant | None
    ) -> Destination:
        """One of which a newer release has saved more than this code knows is held back here, as if it were paused:
        what waits for it is for processes of that release. Events go on being routed to it, by what is known. So is one
        that cannot be compiled, of which the others take no harm; but where events go is not guessed.
        """
        before = known.destinations.get(record.id) if known else None
        unchanged = before is not None and before.record.version == record.version
        if before is not None and unchanged and before.unusable is None:
            plan, why = before.plan, None
        else:
            plan, why = stored_plan(record.config, self.limits)
        active: list[ActiveSuppression] = []
        try:
            active += [self._active(each) for each in suppressions if each.destination_id == record.id]
        except Invalid as error:
            why = why or _why(error)
        if why is not None and why.startswith("/filter"):
            raise Conflict(f"destination {record.id} cannot be used by this version, or settings: {why}")
        if why is not None and (before is None or before.unusable != why):
            log.warning("destination_unusable", destination_id=record.id, error=why)
        if record.too_new is not None:
            if not unchanged:
                log.warning("destination_held_back", destination_id=record.id, unknown=record.too_new)
            if record.status is DestinationStatus.ACTIVE:
                record = msgspec.structs.replace(record, status=DestinationStatus.PAUSED)
        return Destination(
            record=record,
            plan=plan,
            signing_secret=self._open(record.signing_sealed, record.id),
            previous_secret=self._open(record.previous_sealed, record.id),
            suppressions=tuple(active),
            unusable=why,
        )

    def _active(self, suppression: Suppression) -> ActiveSuppression:
        with at("suppressions", suppression.id):
            compiled = compile_filter(suppression.filter, max_depth=self.limits.filter_depth)
        return ActiveSuppression(record=suppression, filter=compiled)

    def _open(self, sealed: bytes | None, destination_id: str) -> str | None:
        return None if sealed is None else self._vault.open(sealed, purpose=signing_purpose(destination_id))


def secret_purpose(workspace_id: str, name: str) -> str:
    """What a named secret is sealed for."""
    return f"secret {name} of {workspace_id}"


def signing_purpose(destination_id: str) -> str:
    """What a signing secret is sealed for."""
    return f"signing secret of {destination_id}"
