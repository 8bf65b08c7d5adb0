"""A database that restarts, stays away, fails over, or is cut off in the middle of a commit."""

from __future__ import annotations

import re
import signal
import time

import pytest

from tests.harness import wait_until
from tests.system.many.installation import LEASE, OUTAGE, RECOVERY, Installation
from tracklayer.flow.engine import LOOK_EVERY

CUTS = 5  # of each line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "as in a crash"])
def test_a_restart_of_the_database_is_got_over(installation: Installation, number: signal.Signals) -> None:
    with installation.traffic(f"restart-{number.name}") as traffic:
        traffic.flow()
        installation.postgres.stop(number)
        installation.postgres.start()
        recovery = traffic.recover()
    print(f"PostgreSQL restarted by {number.name}: {recovery}")


@pytest.mark.timeout(OUTAGE + 120)
def test_while_the_database_is_away_callers_are_told_to_come_again_and_all_flows_when_it_is_back(
    installation: Installation,
) -> None:
    with installation.traffic("outage") as traffic:
        traffic.flow()
        installation.postgres.stop()
        stopped = time.monotonic()
        taken = traffic.taken()
        entrances = [each for each in installation.hosts if each.accepts]
        wait_until(lambda: all(traffic.refused(each) >= 10 for each in entrances), what="every entrance to refuse")
        for each in installation.hosts:
            assert each.api.get("/healthz").status == 200, each.name
            assert each.api.get("/readyz").status == 503, each.name
            counted = each.api.get("/metrics")
            assert counted.status == 200, each.name
            assert "tracklayer_database_up 0.0" in counted.body
            assert "tracklayer_queue_depth{" not in counted.body
        for each in entrances:
            (refused,) = re.findall(r'tracklayer_events_total\{status="refused"\} (\S+)', each.api.get("/metrics").body)
            assert float(refused) >= 10
        wait_until(lambda: time.monotonic() - stopped > OUTAGE, OUTAGE + 5, what="the end of the outage")
        assert traffic.taken() == taken
        installation.postgres.start()
        recovery = traffic.recover()
    print(f"PostgreSQL away for {OUTAGE:g} s: {recovery}")


def test_a_standby_that_takes_over_the_address_has_all_that_was_acknowledged(installation: Installation) -> None:
    standby = installation.standby()
    with installation.traffic("failover") as traffic:
        traffic.flow()
        installation.fail_over(standby)
        recovery = traffic.recover()
    print(f"failed over: {recovery}")


@pytest.mark.parametrize("answered", [False, True], ids=["before the server has it", "in place of its answer"])
def test_a_connection_that_is_cut_in_the_middle_of_a_commit_loses_nothing_and_stores_nothing_twice(
    installation: Installation, *, answered: bool
) -> None:
    with installation.traffic(f"cut-{answered}") as traffic:
        traffic.flow()
        before = {each.name: each.line.cuts for each in installation.hosts}
        for each in installation.hosts:
            each.line.cut_commits(every=4, answered=answered)
        for each in installation.hosts:
            wait_until(lambda each=each: each.line.cuts >= before[each.name] + CUTS, what=f"cuts of {each.name}")  # type: ignore[misc]
        assert traffic.refused()
        for each in installation.hosts:
            each.line.spare_commits()
        recovery = traffic.recover()
        taken = traffic.taken()
        seconds = traffic.arrive(taken, within=LEASE + LOOK_EVERY + RECOVERY)
    print(f"commits cut {'after' if answered else 'before'}: {recovery}; all arrived within {seconds:.1f} s")
