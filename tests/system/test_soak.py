from __future__ import annotations

from pathlib import Path

import pytest

from tests import soak


@pytest.mark.timeout(120)
def test_every_invariant_holds_after_ten_seconds_of_everything_at_once(tmp_path: Path) -> None:
    report = soak.run(seconds=10, seed=5, folder=tmp_path)
    assert report.acknowledged > 500
    assert report.requests > 3 * 500
