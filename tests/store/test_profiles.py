"""What is remembered of users' consent, read for one event at a time and for many at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.store.samples import NOW, remembered
from tracklayer.model.profile import ProfileUpdate
from tracklayer.store import Database
from tracklayer.store.profiles import Profiles


async def remember(database: Database, user_key: str, at: float = NOW, workspace: str = "ws_1", **consent: str) -> None:
    update = ProfileUpdate(user_key=user_key, consent=consent or None, traits={"plan": "pro"}, at=at)
    await remembered(database, {workspace: [update]})


async def test_what_a_user_said_is_found_by_key_and_workspace(database: Database) -> None:
    profiles = Profiles(database)
    await remember(database, "u_1", ad_storage="denied", mail="granted")
    await remember(database, "u_2")
    assert await profiles.consent_of("ws_1", ["u_1"]) == {"ad_storage": ("denied", NOW), "mail": ("granted", NOW)}
    assert await profiles.consent_of("ws_1", ["u_2"]) == {}
    assert await profiles.consent_of("ws_1", ["nobody"]) == {}
    assert await profiles.consent_of("ws_2", ["u_1"]) == {}
    assert await profiles.consent_of("ws_1", []) == {}


async def test_of_several_keys_the_first_counts_but_a_newer_denial_of_any(database: Database) -> None:
    profiles = Profiles(database)
    await remember(database, "u_1", a="granted", b="denied", c="granted")
    await remember(database, "a_1", NOW + 1, a="denied", b="granted", d="granted")
    await remember(database, "a_1", NOW - 1, c="denied")
    assert await profiles.consent_of("ws_1", ["u_1", "a_1"]) == {
        "a": ("denied", NOW + 1),
        "b": ("denied", NOW),
        "c": ("granted", NOW),
        "d": ("granted", NOW + 1),
    }


async def test_many_who_ask_at_once_share_a_read_and_each_gets_its_own(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        await remember(database, f"u_{number}", NOW + number, a="granted")
    reads: list[Any] = []
    real = database.read

    async def read(work: Any) -> Any:
        reads.append(work)
        return await real(work)

    monkeypatch.setattr(database, "read", read)
    profiles = Profiles(database)
    found = await asyncio.gather(*(profiles.consent_of("ws_1", [f"u_{number}"]) for number in range(20)))
    assert found == [{"a": ("granted", NOW + number)} for number in range(20)]
    assert len(reads) <= 2
