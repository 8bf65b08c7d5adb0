"""Settings: what is read, what is refused, and that the docs say the same."""

from __future__ import annotations

import base64
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.settings_page import PAGE, page
from tracklayer.settings import (
    CLIENT_VARIABLES,
    Entry,
    Settings,
    SettingsError,
    async_database_url,
    load_settings,
    settings_table,
)

KEY = bytes(range(224, 256))


def test_nothing_given_means_the_defaults() -> None:
    settings = load_settings({"PATH": "/bin", "HOME": "/root"})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8080, Path("tracklayer-data"))
    assert (settings.request_limit, settings.event_limit, settings.batch_limit) == (1_048_576, 262_144, 500)
    assert (settings.template_limit, settings.body_limit, settings.response_limit) == (65_536, 1_048_576, 65_536)
    assert (settings.filter_depth, settings.destinations_limit) == (8, 1000)
    assert (settings.dedup_window, settings.stop_timeout, settings.lease) == (86_400, 20, 60)
    assert (settings.concurrency, settings.queue_bytes, settings.ingest_queue) == (64, 64 * 2**20, 10_000)
    assert (settings.allow_networks, settings.master_key, settings.admin_key) == ((), None, None)
    assert (settings.log_level, settings.log_format) == ("info", "json")


def test_every_kind_of_value_is_read() -> None:
    settings = load_settings(
        {
            "TRACKLAYER_HOST": "::1",
            "TRACKLAYER_PORT": "0",
            "TRACKLAYER_DATA_DIR": "/srv/t",
            "TRACKLAYER_MASTER_KEY": base64.b64encode(KEY).decode(),
            "TRACKLAYER_ADMIN_KEY": "tl_live_0123456789",
            "TRACKLAYER_ALLOW_NETWORKS": "10.0.0.0/8, fd00::/8 127.0.0.1",
            "TRACKLAYER_LOG_LEVEL": "WARNING",
            "TRACKLAYER_LOG_FORMAT": "console",
            "TRACKLAYER_REQUEST_LIMIT": "2 MiB",
            "TRACKLAYER_EVENT_LIMIT": "65536",
            "TRACKLAYER_LEASE": "1m30s",
        }
    )
    assert (settings.host, settings.port, settings.data_dir) == ("::1", 0, Path("/srv/t"))
    assert (settings.master_key, settings.admin_key) == (KEY, "tl_live_0123456789")
    assert settings.allow_networks == tuple(map(ip_network, ("10.0.0.0/8", "fd00::/8", "127.0.0.1/32")))
    assert (settings.log_level, settings.log_format) == ("warning", "console")
    assert (settings.request_limit, settings.event_limit, settings.lease) == (2 * 2**20, 65_536, 90)


def test_the_command_line_wins_over_the_environment() -> None:
    settings = load_settings({"TRACKLAYER_PORT": "1", "TRACKLAYER_HOST": "a.example"}, {"port": "2"})
    assert (settings.port, settings.host) == (2, "a.example")


def test_an_empty_value_counts_as_not_given() -> None:
    assert load_settings({"TRACKLAYER_PORT": "", "TRACKLAYER_ADMIN_KEY": " "}) == Settings()
    assert load_settings({"TRACKLAYER_PORT": "81"}, {"port": ""}).port == 81


def test_a_master_key_may_use_the_url_safe_alphabet() -> None:
    text = base64.urlsafe_b64encode(KEY).decode()
    assert "-" in text or "_" in text
    assert load_settings({"TRACKLAYER_MASTER_KEY": text}).master_key == KEY


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("HOST", "two words", "an IP address or a host name"),
        ("HOST", "http://0.0.0.0", "an IP address or a host name"),
        ("PORT", "65536", "a port number from 0 to 65535"),
        ("PORT", "-1", "a port number from 0 to 65535"),
        ("PORT", "http", "a port number from 0 to 65535"),
        ("PORT", "tcp://10.0.0.1:8080", "a port number from 0 to 65535"),
        ("ALLOW_NETWORKS", "10.0.0.0/33", "networks separated by commas"),
        ("ALLOW_NETWORKS", "10.0.0.1/8", "without host bits"),
        ("ALLOW_NETWORKS", "localhost", "networks separated by commas"),
        ("ALLOW_NETWORKS", "10.0.0.0/8,,", "networks separated by commas"),
        ("LOG_LEVEL", "verbose", "one of debug, info, warning, error"),
        ("LOG_FORMAT", "xml", "one of json, console"),
        ("REQUEST_LIMIT", "0", "a size in bytes"),
        ("REQUEST_LIMIT", "1.5MiB", "a size in bytes"),
        ("REQUEST_LIMIT", "1MB", "a size in bytes"),
        ("REQUEST_LIMIT", "٣", "a size in bytes"),
        ("BATCH_LIMIT", "0", "a whole number from 1"),
        ("FILTER_DEPTH", "65", "a whole number from 1 to 64"),
        ("CONCURRENCY", "0", "a whole number from 1 to 10000"),
        ("LEASE", "60", "a duration from 1s to 30d"),
        ("LEASE", "500ms", "a duration from 1s to 30d"),
        ("STOP_TIMEOUT", "-1s", "a duration from 0s to 30d"),
        ("DEDUP_WINDOW", "31d", "a duration from 1s to 30d"),
        ("RETENTION_EVENTS", "59m", "a duration from 1h to 3650d"),
        ("RETENTION_DEAD_LETTERS", "3651d", "a duration from 1h to 3650d"),
    ],
)
def test_a_bad_value_is_refused_with_its_name_the_value_and_what_was_expected(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({f"TRACKLAYER_{name}": value})
    assert caught.value.name == f"TRACKLAYER_{name}"
    assert f"TRACKLAYER_{name} = {value!r} cannot be used: expected" in caught.value.detail
    assert expected in caught.value.detail


@pytest.mark.parametrize(
    "name, value",
    [
        ("MASTER_KEY", "not base64 at all!"),
        ("MASTER_KEY", base64.b64encode(KEY[:31]).decode()),
        ("MASTER_KEY", base64.b64encode(KEY + b"x").decode()),
        ("MASTER_KEY", base64.b64encode(KEY).decode().rstrip("=")),
        ("ADMIN_KEY", "tooshort"),
        ("ADMIN_KEY", "sixteen characters with spaces"),
        ("ADMIN_KEY", "schlüssel_0123456789"),
        ("DATABASE_URL", "mysql://root:hunter22@db/tracklayer"),
        ("DATABASE_URL", "hunter22"),
    ],
)
def test_the_value_of_a_secret_never_shows_in_its_error(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match="not shown") as caught:
        load_settings({f"TRACKLAYER_{name}": value})
    assert value not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_secret_never_shows_in_a_repr() -> None:
    settings = Settings(
        admin_key="tl_live_hunter22hunter22", master_key=KEY, database_url="postgresql://u:hunter22@db/t"
    )
    assert "hunter22" not in repr(settings)
    assert repr(KEY) not in repr(settings)
    assert "port=8080" in repr(settings)
    assert "hunter22" not in f"{settings}"


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(SettingsError, match="TRACKLAYER_DATADIR is not a setting: did you mean TRACKLAYER_DATA_DIR"):
        load_settings({"TRACKLAYER_DATADIR": "/srv"})
    with pytest.raises(SettingsError, match="prot is not a setting: did you mean port"):
        load_settings({}, {"prot": "1"})


def test_an_unknown_variable_never_shows_its_value() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"TRACKLAYER_ADMIN_KEYS": "hunter22"})
    assert "hunter22" not in caught.value.detail


def test_a_variable_that_is_like_no_setting_points_at_the_docs() -> None:
    with pytest.raises(SettingsError, match=r"docs/settings\.md"):
        load_settings({"TRACKLAYER_XYZZY_QUUX_PLUGH": "1"})


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load_settings({"MY_TRACKLAYER_PORT": "x", "TRACKLAYERPORT": "x", "tracklayer_port": "x"}) == Settings()


@pytest.mark.parametrize("name", CLIENT_VARIABLES)
def test_variables_of_the_commands_are_known_and_do_not_concern_the_server(name: str) -> None:
    assert load_settings({name: "anything at all"}) == Settings()
    with pytest.raises(SettingsError, match=f"is not a setting: did you mean {name}"):
        load_settings({name + "S": "1"})


@pytest.mark.parametrize(
    "given_url, used",
    [
        ("sqlite:///t.db", "sqlite+aiosqlite:///t.db"),
        ("sqlite:////srv/t.db", "sqlite+aiosqlite:////srv/t.db"),
        ("sqlite+aiosqlite:///t.db", "sqlite+aiosqlite:///t.db"),
        ("postgresql://u:p@db:5432/t", "postgresql+asyncpg://u:p@db:5432/t"),
        ("postgres://db/t", "postgresql+asyncpg://db/t"),
        ("postgresql://u:p%40w@db/t", "postgresql+asyncpg://u:p%40w@db/t"),
        ("postgresql://u:p/w:?#[]@db/t", "postgresql+asyncpg://u:p/w:?#[]@db/t"),
        ("postgresql://u@[::1]:5432/t?sslmode=require", "postgresql+asyncpg://u@[::1]:5432/t?sslmode=require"),
        ("postgresql://db", "postgresql+asyncpg://db"),
        ("postgresql://u@/t?host=db1:5432&host=db2:5432", "postgresql+asyncpg://u@/t?host=db1:5432&host=db2:5432"),
        ("postgresql:///t?host=/run/postgresql", "postgresql+asyncpg:///t?host=/run/postgresql"),
    ],
)
def test_a_database_url_gets_the_asynchronous_driver(given_url: str, used: str) -> None:
    assert async_database_url(given_url) == used
    assert load_settings({"TRACKLAYER_DATABASE_URL": given_url}).database_url == used


@pytest.mark.parametrize("url", ["sqlite://t.db", "sqlite:t.db", "mysql://h/t", "postgresql://", "t.db", ""])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"database|file"):
        async_database_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("sqlite:///", "sqlite:///:memory:", "sqlite:///t.db?mode=ro"),
        *("postgresql://u:s3cret@db:54x/t", "postgresql://u:s3cret@db:99999/t", "postgresql://u:s3cret@[::1/t"),
        *("postgresql://u:s3@cret@db/t", "postgresql://u:123@cret@db/t"),
    ],
)
def test_a_database_url_that_names_no_place_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(SettingsError, match=r"TRACKLAYER_DATABASE_URL = \(a secret, .*expected sqlite") as refused:
        load_settings({"TRACKLAYER_DATABASE_URL": url})
    assert "cret@" not in str(refused.value)


def test_without_a_database_url_the_database_lies_in_the_data_directory() -> None:
    assert load_settings({}).database_url == "sqlite+aiosqlite:///tracklayer-data/tracklayer.db"
    assert load_settings({}, {"data_dir": "/srv/t"}).database_url == "sqlite+aiosqlite:////srv/t/tracklayer.db"


@given(st.integers(min_value=1, max_value=2**40))
@example(2**30)
@example(1536 * 1024)
def test_a_size_is_read_back_as_it_is_shown(size: int) -> None:
    kind = next(entry.setting.kind for entry in settings_table() if entry.field == "request_limit")
    assert kind.parse(kind.show(size)) == size


@given(st.sampled_from(settings_table()), st.text(min_size=1))
def test_any_text_is_either_read_or_refused_with_the_name(entry: Entry, text: str) -> None:
    try:
        load_settings({entry.variable: text})
    except SettingsError as error:
        assert error.name == entry.variable


@pytest.mark.parametrize("entry", [e for e in settings_table() if e.default], ids=lambda entry: entry.field)
def test_a_default_is_read_back_as_the_docs_show_it(entry: Entry) -> None:
    assert load_settings({entry.variable: entry.setting.kind.show(entry.default)}) == Settings()


def test_the_docs_say_what_the_code_does() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs`"
