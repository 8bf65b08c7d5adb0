"""One process at a time on a data directory and on an SQLite file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracklayer.data_lock import hold, moved_marker
from tracklayer.errors import Conflict
from tracklayer.settings import Settings, load_settings


def settings(data_dir: Path, file: Path | None = None) -> Settings:
    data_dir.mkdir(exist_ok=True)
    given = {"TRACKLAYER_DATA_DIR": str(data_dir)}
    return load_settings(given if file is None else given | {"TRACKLAYER_DATABASE_URL": f"sqlite:///{file}"})


def test_a_data_directory_is_held_until_it_is_let_go(tmp_path: Path) -> None:
    with hold(settings(tmp_path / "a")), pytest.raises(Conflict, match=f"is running on {tmp_path / 'a'}"):
        hold(settings(tmp_path / "a"))
    hold(settings(tmp_path / "a")).close()


def test_a_file_is_held_whatever_data_directory_goes_with_it(tmp_path: Path) -> None:
    file = tmp_path / "shared.db"
    with hold(settings(tmp_path / "a", file)), pytest.raises(Conflict, match=f"is running on {file}"):
        hold(settings(tmp_path / "b", file))
    hold(settings(tmp_path / "b", file)).close()
    with pytest.raises(Conflict), hold(settings(tmp_path / "a", file)):
        hold(settings(tmp_path / "b", file))
    hold(settings(tmp_path / "b")).close()  # what was held on the way is let go


def test_the_file_of_a_server_on_its_defaults_is_held_for_every_data_directory(tmp_path: Path) -> None:
    defaults = settings(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a", target_is_directory=True)
    for file in (tmp_path / "a" / "tracklayer.db", tmp_path / "link" / "tracklayer.db"):
        other = settings(tmp_path / "b", file)
        with hold(defaults), pytest.raises(Conflict, match=f"is running on {file}"):
            hold(other)
        with hold(other), pytest.raises(Conflict, match=r"is running on .*/a/tracklayer\.db"):
            hold(defaults)


def test_a_file_is_held_whichever_link_leads_to_it(tmp_path: Path) -> None:
    link = tmp_path / "b" / "link.db"
    with hold(settings(tmp_path / "a")):
        other = settings(tmp_path / "b", link)
        link.symlink_to(tmp_path / "a" / "tracklayer.db")
        with pytest.raises(Conflict, match=f"is running on {link}"):
            hold(other)


def test_a_file_that_was_moved_is_not_used_any_more(tmp_path: Path) -> None:
    file = tmp_path / "a" / "tracklayer.db"
    given = settings(tmp_path / "a")
    moved_marker(file).write_text("postgresql://db.internal/tracklayer\n")
    with pytest.raises(Conflict, match=r"was moved to postgresql://db\.internal/tracklayer, where .*remove .*\.moved"):
        hold(given)
    moved_marker(file).unlink()
    hold(given).close()


def test_on_postgresql_only_the_data_directory_is_held(tmp_path: Path) -> None:
    given = settings(tmp_path / "a")
    shared = load_settings(
        {"TRACKLAYER_DATA_DIR": str(tmp_path / "a"), "TRACKLAYER_DATABASE_URL": "postgresql://db/tracklayer"}
    )
    hold(shared).close()
    with hold(given), pytest.raises(Conflict):
        hold(shared)
