"""What many processes ask of the database while there is nothing to do."""

from __future__ import annotations

import re
import time

from tests.harness import wait_until
from tests.system.many.installation import Installation

ROUNDS = 3  # readings of the clock, of which every process makes one in five seconds
STATEMENT = re.compile(r"^tracklayer[^|]*\|.*LOG: +(?:statement|execute [^:]*): (.*)$", re.MULTILINE)


def test_an_idle_process_asks_the_database_less_than_once_a_second(installation: Installation) -> None:
    for change in ("log_line_prefix = '%a|'", "log_statement = 'all'"):
        installation.ask(f"ALTER SYSTEM SET {change}")
    log_file = installation.postgres.log_file
    before, began = log_file.stat().st_size, time.monotonic()
    installation.ask("SELECT pg_reload_conf()")

    def statements() -> list[str]:
        return STATEMENT.findall(log_file.read_bytes()[before:].decode(errors="replace"))

    try:
        wanted = ROUNDS * len(installation.hosts)
        wait_until(lambda: sum("clock_timestamp" in each for each in statements()) >= wanted, 60, what="the readings")
        seconds = time.monotonic() - began
        asked = [each for each in statements() if not re.match("BEGIN|COMMIT|ROLLBACK", each)]
    finally:
        installation.ask("ALTER SYSTEM RESET log_statement")
        installation.ask("SELECT pg_reload_conf()")
    each_second = len(asked) / seconds / len(installation.hosts)
    print(f"idle: {each_second:.2f} queries a second of each process")
    assert each_second < 1, asked
