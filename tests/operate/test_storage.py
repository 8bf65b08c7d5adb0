from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from tracklayer.operate.storage import Storage
from tracklayer.store import open_database


async def test_the_size_grows_with_what_is_stored_and_the_disk_says_what_is_free(tmp_path: Path) -> None:
    database = open_database(f"sqlite+aiosqlite:///{tmp_path / 'tracklayer.db'}")
    try:
        await database.migrate()
        storage = Storage(database, tmp_path)
        before = await storage.facts()
        assert before.directory == str(tmp_path)
        assert before.database > 4096
        assert before.free > 0

        def fill(connection: Connection) -> None:
            connection.exec_driver_sql("CREATE TABLE ballast (bytes)")
            connection.exec_driver_sql("INSERT INTO ballast VALUES (zeroblob(1000000))")

        await database.write(fill)
        assert (await storage.facts()).database - before.database > 1_000_000
    finally:
        await database.close()
