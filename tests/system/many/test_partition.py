"""A network that parts a host from the database, and lets it go on without a word."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_network

import pytest

from tests.harness import wait_until
from tests.system.many.installation import LEASE, NEAR, OUTAGE, RECOVERY, Host, Installation
from tests.tcp_proxy import TcpProxy
from tracklayer.flow.engine import LOOK_EVERY
from tracklayer.flow.ingest import IngestOptions

ANSWERS = IngestOptions().patience + 2.0  # seconds until who asks an entrance that is parted has its refusal


@pytest.mark.timeout(OUTAGE + 120)
def test_hosts_that_are_parted_from_the_database_are_done_without_until_it_is_there_again(
    installation: Installation,
) -> None:
    _, entrance, worker, _ = installation.hosts
    parted = [entrance, worker]
    rest = [each for each in installation.hosts if each not in parted]
    with installation.traffic("parted") as traffic:
        traffic.flow()
        for each in parted:
            each.line.part()
        began = time.monotonic()
        refused = traffic.refuse(entrance, within=ANSWERS)
        taken_over = refused + traffic.arrive(traffic.taken(), within=LEASE + LOOK_EVERY + RECOVERY)
        traffic.recover(*rest)
        wait_until(lambda: time.monotonic() - began > OUTAGE, OUTAGE + 5, what="the end of the partition")
        for each in parted:
            each.line.join()
        recovery = traffic.recover()
    print(
        f"two of four parted for {time.monotonic() - began:.0f} s: a first refusal after {refused:.1f} s, "
        f"taken over within {taken_over:.1f} s; {recovery}"
    )


class Namespace:
    """A host's own network: one cable to the database, and one to everything else."""

    database = ("10.213.77.1", "10.213.77.2")  # this end of the cable, that end
    near = tuple(map(str, ip_network(NEAR).hosts()))

    def __init__(self) -> None:
        """Make it. Raises `OSError` where that cannot be."""
        self.name = f"tracklayer-{os.getpid()}"
        _ip("netns", "add", self.name)
        try:
            for cable, (here, there) in (("tl-db", self.database), ("tl-near", self.near)):
                _ip("link", "add", cable, "type", "veth", "peer", "name", f"{cable}-in", "netns", self.name)
                _ip("address", "add", f"{here}/30", "dev", cable)
                _ip("-n", self.name, "address", "add", f"{there}/30", "dev", f"{cable}-in")
                _ip("link", "set", cable, "up")
                _ip("-n", self.name, "link", "set", f"{cable}-in", "up")
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Take it away."""
        _ip("netns", "delete", self.name)  # and its ends of the cables, with which the others go

    def part(self) -> None:
        """Send every packet between it and the database to a card that is not there."""
        nobody = ("lladdr", "02:00:00:00:00:77", "nud", "permanent")
        _ip("neighbour", "replace", self.database[1], "dev", "tl-db", *nobody)
        _ip("-n", self.name, "neighbour", "replace", self.database[0], "dev", "tl-db-in", *nobody)

    def join(self) -> None:
        """Let them find each other again."""
        _ip("neighbour", "delete", self.database[1], "dev", "tl-db")
        _ip("-n", self.name, "neighbour", "delete", self.database[0], "dev", "tl-db-in")


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """Skips where there can be none."""
    if shutil.which("ip") is None:
        pytest.skip("needs ip: apt-get install iproute2")
    try:
        made = Namespace()
    except OSError as error:
        pytest.skip(f"needs to make network namespaces, as root can: {error}")
    with closing(made):
        yield made


@pytest.fixture
def apart(installation: Installation, namespace: Namespace) -> Iterator[Host]:
    """A process in a network of its own; it accepts and delivers."""
    with TcpProxy(installation.postgres.port, host=namespace.database[0]) as line:
        within = ("ip", "netns", "exec", namespace.name)
        with installation.process("apart", "all", line, within, host=namespace.near[1]) as server:
            yield Host(server, line)


@pytest.mark.timeout(OUTAGE + 120)
def test_a_host_whose_packets_to_the_database_vanish_refuses_soon_and_works_again_when_they_arrive(
    installation: Installation, namespace: Namespace, apart: Host
) -> None:
    with (
        TcpProxy(installation.receiver.receiver.port, host=namespace.near[0]) as door,
        installation.traffic("vanish", apart, url=f"http://{door.address}") as traffic,
    ):
        traffic.recover()
        namespace.part()
        began = time.monotonic()
        refused = traffic.refuse(apart, within=ANSWERS)
        taken_over = refused + traffic.arrive(traffic.taken(), within=LEASE + LOOK_EVERY + RECOVERY)
        traffic.recover(*installation.hosts)
        wait_until(lambda: time.monotonic() - began > OUTAGE, OUTAGE + 5, what="the end of the partition")
        namespace.join()
        recovery = traffic.recover()
    print(
        f"a host parted for {time.monotonic() - began:.0f} s: a first refusal after {refused:.1f} s, "
        f"taken over within {taken_over:.1f} s; {recovery}"
    )
