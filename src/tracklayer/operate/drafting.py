"""What a save would make of a draft: the record, its signing secret sealed. Nothing is saved here."""

from __future__ import annotations

import msgspec

from tracklayer.catalog import Destination, signing_purpose
from tracklayer.delivery.sign import check_secret
from tracklayer.errors import Invalid, at
from tracklayer.model.destination import DestinationStatus
from tracklayer.model.records import DestinationRecord
from tracklayer.operate.draft import Change, DestinationDraft, SigningDraft, changes, config_json, draft_config
from tracklayer.operate.plan_cache import PlanCache
from tracklayer.ports import Clock
from tracklayer.vault import Vault


class Drafting:
    """Makes records of drafts. Raises `Invalid`, with the place, for all that a save refuses."""

    def __init__(self, plans: PlanCache, vault: Vault, clock: Clock) -> None:
        self._plans = plans
        self._vault = vault
        self._clock = clock

    def new_record(self, workspace_id: str, destination_id: str, draft: DestinationDraft) -> DestinationRecord:
        """The record that a draft makes of nothing: version 1."""
        now = self._clock.now()
        sealed = self._new_signing(draft, destination_id)
        plan = self._plans.plan(draft_config(draft, signed=sealed is not None))
        return DestinationRecord(
            id=destination_id,
            workspace_id=workspace_id,
            status=draft.status if isinstance(draft.status, DestinationStatus) else DestinationStatus.ACTIVE,
            version=1,
            config=plan.config,
            signing_sealed=sealed,
            previous_sealed=None,
            previous_until=None,
            created_at=now,
            updated_at=now,
        )

    def next_record(self, current: Destination, draft: DestinationDraft) -> DestinationRecord:
        """The record that a draft makes of a destination, at the same version still."""
        sealed = self._drafted_signing(current, draft)
        scheme = current.plan.config.signing
        config = draft_config(draft, signed=sealed is not None)
        if sealed is not None and not isinstance(draft.signing, SigningDraft) and scheme is not None:
            config = msgspec.structs.replace(config, signing=scheme)
        if config.signing is not None and sealed is not None:
            with at("signing", "secret"):
                check_secret(config.signing.scheme, self._vault.open(sealed, purpose=signing_purpose(current.id)))
        plan = self._plans.plan(config)
        changed = self._secret_changes(current, draft) or sealed is None
        return msgspec.structs.replace(
            current.record,
            config=plan.config,
            status=draft.status if isinstance(draft.status, DestinationStatus) else current.record.status,
            signing_sealed=sealed,
            previous_sealed=None if changed else current.record.previous_sealed,
            previous_until=None if changed else current.record.previous_until,
            updated_at=self._clock.now(),
        )

    def changes(self, current: Destination, record: DestinationRecord, draft: DestinationDraft) -> list[Change]:
        """What `record`, made of `draft`, changes; secrets are compared, and shown as changed only."""
        found = changes(config_json(current.plan.config), config_json(record.config))
        if self._secret_changes(current, draft):
            found.append(Change(path="signing.secret", old="••••", new="••••"))
        if record.status is not current.record.status:
            found.append(Change(path="status", old=current.record.status.value, new=record.status.value))
        return found

    def _drafted_signing(self, current: Destination, draft: DestinationDraft) -> bytes | None:
        """The sealed signing secret after a save: the draft's own, the one that stands, or none."""
        if draft.signing is None or (isinstance(draft.signing, SigningDraft) and not draft.signing.enabled):
            return None
        if isinstance(draft.signing, SigningDraft) and self._secret_changes(current, draft):
            return self._new_signing(draft, current.id)
        if isinstance(draft.signing, SigningDraft) and current.record.signing_sealed is None:
            raise Invalid("signing needs a secret", code="missing_field", pointer="/signing/secret")
        return current.record.signing_sealed

    def _new_signing(self, draft: DestinationDraft, destination_id: str) -> bytes | None:
        signing = draft.signing
        if not isinstance(signing, SigningDraft) or not signing.enabled:
            return None
        if signing.secret is None:
            raise Invalid("signing needs a secret", code="missing_field", pointer="/signing/secret")
        with at("signing", "secret"):
            check_secret(signing.scheme, signing.secret)
        return self._vault.seal(signing.secret, purpose=signing_purpose(destination_id))

    def _secret_changes(self, current: Destination, draft: DestinationDraft) -> bool:
        signing = draft.signing
        return (
            isinstance(signing, SigningDraft)
            and signing.enabled
            and signing.secret is not None
            and signing.secret != current.signing_secret
        )
