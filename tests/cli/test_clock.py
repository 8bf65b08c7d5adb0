"""Commands that reach the database themselves live in its time, whatever their host's clock says."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.running import tracklayer as run
from tracklayer.identity import made_at

DAY = 86_400.0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_invitation_is_good_for_a_day_and_a_key_is_made_now(kind: str, tmp_path: Path, fresh_postgres: str) -> None:
    settings: dict[str, Any] = {"data_dir": str(tmp_path)}
    if kind == "postgresql":
        settings["database_url"] = fresh_postgres
    assert run("migrate", **settings).status == 0
    now = time.time()
    invited = run("people", "invite", "ann@shop.example", "--json", **settings).json
    assert datetime.fromisoformat(invited["expires_at"]).timestamp() == pytest.approx(now + DAY, abs=120)
    made = run("keys", "create", "--name", "n", "--scope", "admin", "--workspace", "eu", "--json", **settings).json
    assert made_at(made["id"]) == pytest.approx(now, abs=120)
