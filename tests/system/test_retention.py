"""Real processes remove what is old by themselves, each day whole, while they take events and deliver them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.console.client import invited_person
from tests.fleet import api_of, host
from tests.harness import ReceiverThread, ServerProcess, wait_until
from tests.store.test_pruning import DEAD, DELIVERED, MIDNIGHT, PENDING, Clock, Contents, Made, Told, contents, store
from tests.traffic import event_ids, made, send_all
from tracklayer.store import open_database
from tracklayer.store.partitions import AHEAD, DAY, Partition, Partitions
from tracklayer.store.tables import PARTITIONED

SOON = ("tests.system.soon",)


async def fill(url: str) -> None:
    """Two days of long ago, as partitions, and something in the default one."""
    database = open_database(url)
    await Partitions(database, Clock(MIDNIGHT - 12 * DAY), ahead=1).ensure()
    told = [Told(age, (Made(DELIVERED, age, 1), Made(DEAD, age, 2, kept=True))) for age in (11.5, 10.5, 3.5) * 100]
    await store(database, [*told, Told(11.5, (Made(PENDING, 11.5), Made(DELIVERED, 11.5, 1)), user="u_1")])
    await database.close()


async def left(url: str) -> tuple[Contents, set[str]]:
    database = open_database(url)
    try:
        return await contents(database), {each.name for each in await Partitions(database, Clock()).all()}
    finally:
        await database.close()


def pruned(server: ServerProcess) -> dict[str, float]:
    """What a process says that it has removed."""
    families = text_string_to_metric_families(api_of(server).get("/metrics").body)
    samples = [sample for family in families for sample in family.samples]
    return {each.labels["table"]: each.value for each in samples if each.name == "tracklayer_pruned_rows_total"}


@pytest.mark.timeout(120)
def test_two_processes_prune_what_is_old_while_they_work(
    tmp_path: Path, fresh_postgres: str, receiver: ReceiverThread
) -> None:
    asyncio.run(fill(fresh_postgres))
    with ExitStack() as running:
        hosts = [host(tmp_path / f"host{number}", fresh_postgres, "all") for number in (1, 2)]
        for each in hosts:
            each.program = SOON
            each.start(ready=False)
            running.callback(each.stop)
        for each in hosts:
            wait_until(each.is_ready, what="both to be ready")
        api = api_of(hosts[0])
        made(api, "now", receiver.url + "/retention")
        send_all(api, [f"ord_{number}" for number in range(100)])
        receiver.wait_for("/retention", 100)
        removed = {"events": 300, "deliveries": 601, "attempts": 901, "kept_requests": 300, "event_keys": 300}

        def done() -> bool:
            both = [pruned(each) for each in hosts]
            return {table: sum(each.get(table, 0) for each in both) for table in removed} == removed

        wait_until(done, 60, what="both to have removed what is old, each row once")
        both = [invited_person(each, f"{each.data_dir.name}@example.com") for each in hosts]
        pages = [each.get("/settings/workspace").words for each in both]
        assert all("Last pruned" in words and "not since this process" not in words for words in pages), pages

    assert set(event_ids(receiver.on("/retention")).values()) == {1}
    stored, days = asyncio.run(left(fresh_postgres))
    assert len(stored["events"]) == 101
    assert len(stored["deliveries"]) == 101
    assert len(stored["event_users"]) == 1
    assert not {Partition(table, int(MIDNIGHT // DAY) - 12).name for table in PARTITIONED} & days
    assert len(days) == (AHEAD + 1) * len(PARTITIONED)
