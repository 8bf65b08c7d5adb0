from __future__ import annotations

import msgspec

from tracklayer.store import Database
from tracklayer.store.rejected import RejectedRecord, RejectedStore


def record(number: int, workspace_id: str = "ws_1", **fields: object) -> RejectedRecord:
    plain = RejectedRecord(
        id=f"rej_{number:04}",
        workspace_id=workspace_id,
        source_id=None,
        received_at=float(number),
        code="invalid",
        detail="d",
        pointer=None,
        about={"type": "native"},
        payload=b"{}",
    )
    return msgspec.structs.replace(plain, **fields)


async def ids(store: RejectedStore, workspace_id: str = "ws_1") -> list[str]:
    return [each.id for each in await store.page(workspace_id, limit=100)]


async def test_the_newest_of_each_workspace_are_kept_and_the_oldest_go(database: Database) -> None:
    store = RejectedStore(database, most=3)
    await store.add("ws_2", [record(1, "ws_2")])
    for number in range(1, 5):
        await store.add("ws_1", [record(number + 10)])
    await store.add("ws_1", [record(20), record(21)])
    assert await ids(store) == ["rej_0021", "rej_0020", "rej_0014"]
    assert await ids(store, "ws_2") == ["rej_0001"]


async def test_of_more_than_are_kept_at_all_the_last_are_kept(database: Database) -> None:
    store = RejectedStore(database, most=3)
    await store.add("ws_1", [record(number) for number in range(50)])
    assert await ids(store) == ["rej_0049", "rej_0048", "rej_0047"]


async def test_a_page_has_no_payloads_and_one_record_has(database: Database) -> None:
    store = RejectedStore(database)
    await store.add("ws_1", [record(1), record(2, source_id="src_1"), record(3)])
    assert {each.payload for each in await store.page("ws_1", limit=10)} == {b""}
    assert [each.id for each in await store.page("ws_1", limit=10, source_id="src_1")] == ["rej_0002"]
    assert [each.id for each in await store.page("ws_1", limit=10, before="rej_0002")] == ["rej_0001"]
    assert await store.one("ws_1", "rej_0001") == record(1)
    assert await store.one("ws_2", "rej_0001") is None


async def test_it_is_explained_anew_and_removed_once(database: Database) -> None:
    store = RejectedStore(database)
    await store.add("ws_1", [record(1)])
    await store.explain_again(record(1, code="other", detail="e", pointer="/x"))
    found = await store.one("ws_1", "rej_0001")
    assert found == record(1, code="other", detail="e", pointer="/x")
    assert [await store.remove("ws_2", "rej_0001"), await store.remove("ws_1", "rej_0001")] == [False, True]
    assert not await store.remove("ws_1", "rej_0001")
