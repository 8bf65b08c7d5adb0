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
    installation.ask("SELECT pg_reload_conf()")
    try:
        asked_in(installation, 1)  # within which it does what the test before has left, such as writing counts down
        began = time.monotonic()
        asked = asked_in(installation, ROUNDS)
        seconds = time.monotonic() - began
    finally:
        installation.ask("ALTER SYSTEM RESET log_statement")
        installation.ask("SELECT pg_reload_conf()")
    each_second = len(asked) / seconds / len(installation.hosts)
    print(f"idle: {each_second:.2f} queries a second of each process")
    assert each_second < 1, asked


def asked_in(installation: Installation, rounds: int) -> list[str]:
    """What all processes ask the database for from now on, until they have read its clock so often."""
    log_file = installation.postgres.log_file
    before = log_file.stat().st_size

    def statements() -> list[str]:
        return STATEMENT.findall(log_file.read_bytes()[before:].decode(errors="replace"))

    wanted = rounds * len(installation.hosts)
    wait_until(lambda: sum("clock_timestamp" in each for each in statements()) >= wanted, 60, what="the readings")
    return [each for each in statements() if not re.match("BEGIN|COMMIT|ROLLBACK", each)]
