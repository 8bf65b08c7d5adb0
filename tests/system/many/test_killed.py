"""Processes that end in the middle of their work, and those that stop for a while and go on."""

from __future__ import annotations

import pytest

from tests.system.many.installation import LEASE, RECOVERY, Installation
from tracklayer.flow.engine import LOOK_EVERY


@pytest.mark.parametrize("role", ["api", "all", "worker"])
def test_what_a_killed_process_had_is_taken_up_by_the_others(installation: Installation, role: str) -> None:
    victim = next(each for each in installation.hosts if each.server.settings["role"] == role)
    others = [each for each in installation.hosts if each is not victim]
    with installation.traffic(f"killed-{role}", killed=[victim]) as traffic:
        traffic.flow()
        victim.server.kill()
        taken = traffic.taken()
        seconds = traffic.arrive(taken, within=LEASE + LOOK_EVERY + RECOVERY)
        goes_on = traffic.recover(*others)
        victim.server.start()
        recovery = traffic.recover()
    print(f"kill -9 of {role}: all it had arrived within {seconds:.1f} s; the others: {goes_on}; with it: {recovery}")
