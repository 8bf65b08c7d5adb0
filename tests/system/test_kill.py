from __future__ import annotations

from pathlib import Path

from tests import kill_test


def test_everything_that_was_acknowledged_arrives_however_often_the_server_is_killed(tmp_path: Path) -> None:
    report = kill_test.run(rounds=6, seed=7, folder=tmp_path)  # `make kill-test` goes on for longer
    assert report.rounds == 6
    assert report.acknowledged > 500
    assert report.unanswered > 6  # so the kills came under load
