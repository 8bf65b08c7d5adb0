"""The stage has what the screenshots are to show, and every page of them answers."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.browser.screenshots import SHOTS, Shot
from tests.browser.shop import DAY
from tests.browser.stage import Stage, stage
from tests.console.client import Console
from tracklayer.model.moment import rfc3339


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("stage"), events=500, development="yes") as served:
        yield served


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
def test_every_page_that_is_photographed_answers(shown: Stage, shot: Shot) -> None:
    visitor = shown.console if shot.is_signed_in else Console(shown.server.url)
    assert visitor.get(shot.where(shown).partition("#")[0]).status == shot.status


def test_deliveries_are_in_every_state_and_of_their_time(shown: Stage) -> None:
    for state in ("delivered", "pending", "dead", "suppressed", "discarded"):
        assert shown.delivery(state=state)
    for cause in ("401", "422", "timeout", "503", "render"):
        assert shown.api.get("/v1/dead-letters", cause=cause, limit=1).body["data"], cause
    yesterday = rfc3339(time.time() - DAY)
    assert shown.delivery(until=yesterday)
    assert shown.delivery(since=yesterday)


def test_a_test_goes_to_a_receiver_on_this_machine_under_the_name_that_is_shown(shown: Stage) -> None:
    tested = shown.api.post(f"/v1/destinations/{shown.destinations['fraud']}/test").body
    assert tested["state"] == "delivered"
    assert tested["steps"]["send"]["request"]["url"] == "https://score.fraud.example.com/orders"
