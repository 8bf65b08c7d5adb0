"""Commands that reach the database themselves live in its time, whatever their host's clock says."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.running import tracklayer as run
from tracklayer.identity import made_at

DAY = 86_400.0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_invitation_is_good_for_a_day_and_a_key_is_made_now(kind: str, tmp_path: Path, fresh_postgres: str) -> None:
    url = fresh_postgres if kind == "postgresql" else f"sqlite:///{tmp_path}/tracklayer.db"
    asyncio.run(migrate(url))
    settings = {"data_dir": str(tmp_path), "database_url": url}
    now = time.time()
    invited = run("people", "invite", "ann@shop.example", "--json", **settings).json
    assert datetime.fromisoformat(invited["expires_at"]).timestamp() == pytest.approx(now + DAY, abs=120)
    made = run("keys", "create", "--name", "n", "--scope", "admin", "--workspace", "eu", "--json", **settings).json
    assert made_at(made["id"]) == pytest.approx(now, abs=120)
