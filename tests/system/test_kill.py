from __future__ import annotations

from pathlib import Path

import pytest

from tests import kill_test


@pytest.mark.timeout(180)
def test_everything_that_was_acknowledged_arrives_however_often_the_server_is_killed(tmp_path: Path) -> None:
    report = kill_test.run(rounds=20, seed=7, folder=tmp_path)
    assert report.rounds == 20
    assert report.acknowledged > 1000
    assert report.unanswered > 20  # so the kills came under load
