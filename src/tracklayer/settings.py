"""Every setting: its name, meaning, default and limits stand once, on its field in `Settings`.

`load_settings` reads them from the environment (`TRACKLAYER_PORT`) and the command line (`port`), which wins.
`CLIENT_VARIABLES` are what the commands that call a server read beside them; the server knows and ignores them.
docs/settings.md is written from the same fields (`make docs`) and tested against them.
"""

from __future__ import annotations

import base64
import difflib
import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, get_type_hints

import msgspec

from tracklayer.errors import Invalid, TrackLayerError
from tracklayer.model.duration import LONGEST, format_duration, parse_duration

PREFIX = "TRACKLAYER_"
URL_VARIABLE = PREFIX + "URL"
KEY_VARIABLE = PREFIX + "API_KEY"
CLIENT_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        URL_VARIABLE: "The server to call, as `--url`. Unset: `http://` with the host and port above.",
        KEY_VARIABLE: "The API key to call it with, as `--key`. Unset: `TRACKLAYER_ADMIN_KEY`.",
    }
)
KIB = 1024
MIB = 1024 * KIB
HOUR = 3600.0
DAY = 24 * HOUR


class SettingsError(TrackLayerError):
    """A setting is unknown or its value cannot be used: the start stops here. `name` is as the user wrote it."""

    code = "bad_setting"

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name} {detail}")
        self.name = name


class Kind(NamedTuple):
    """How a setting's text is read. `parse` raises ValueError or `Invalid`; `show` writes a default for the docs."""

    parse: Callable[[str], object]
    expected: str
    show: Callable[[Any], str] = str


class Setting(NamedTuple):
    """What is known of one setting beside its name and default."""

    kind: Kind
    doc: str
    secret: bool = False  # the value never shows in an error, a log or a `repr`


class Entry(NamedTuple):
    """One row of the table of settings."""

    field: str  # name in `Settings` and on the command line
    variable: str  # name in the environment
    setting: Setting
    default: Any


def _host(text: str) -> str:
    if not re.fullmatch(r"[\w.:%-]+", text):
        raise ValueError(text)
    return text


def _choice(*words: str) -> Kind:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(text)
        return text.lower()

    return Kind(parse, "one of " + ", ".join(words))


def _between(least: int, most: int, what: str = "a whole number") -> Kind:
    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError(text)
        return number

    return Kind(parse, f"{what} from {least} to {most}")


_SIZE_UNITS = {"": 1, "b": 1, "kib": KIB, "mib": MIB, "gib": 1024 * MIB}


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d{1,15})\s*([a-z]*)", text.lower(), re.ASCII)
    if found is None or found[2] not in _SIZE_UNITS or int(found[1]) == 0:
        raise ValueError(text)
    return int(found[1]) * _SIZE_UNITS[found[2]]


def _show_size(size: int) -> str:
    for unit, bytes_each in (("GiB", 1024 * MIB), ("MiB", MIB), ("KiB", KIB)):
        if size % bytes_each == 0:
            return f"{size // bytes_each}{unit}"
    return str(size)


def _duration(least: float, most: float = LONGEST) -> Kind:
    def parse(text: str) -> float:
        seconds = parse_duration(text, most=most)
        if seconds < least:
            raise ValueError(text)
        return seconds

    examples = "500ms, 20s, 1m30s or 24h" if least < HOUR else "12h or 90d"
    return Kind(
        parse,
        f"a duration from {format_duration(least)} to {format_duration(most)}, such as {examples}",
        format_duration,
    )


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part) for part in re.split(r"[\s,]+", text.strip()))


def _master_key(text: str) -> bytes:
    key = base64.b64decode(text, altchars=b"-_" if re.search("[-_]", text) else None, validate=True)
    if len(key) != 32:
        raise ValueError("wrong length")
    return key


def _admin_key(text: str) -> str:
    if not re.fullmatch(r"[!-~]{16,256}", text):
        raise ValueError("not printable, or too short")
    return text


_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}


def async_database_url(url: str) -> str:
    """`url` with the asynchronous driver that TrackLayer uses: `sqlite:///x` becomes `sqlite+aiosqlite:///x`.

    Raises ValueError for another database, and for an SQLite URL that names a host instead of a file.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _ASYNC_DRIVERS:
        raise ValueError("another database")
    driver = _ASYNC_DRIVERS[scheme]
    if not rest.startswith("/") and (driver.startswith("sqlite") or not rest):
        raise ValueError("no file, or no host")
    return f"{driver}://{rest}"


_PLACE = re.compile(r"(?:[^:/]*(?::[^@]*)?@)?(?:\[[^\[\]/?]+\]|[^\[\]@:/?]*)(?::(\d{0,5}))?(?=[/?]|$)")


def _database(text: str) -> str:
    url = async_database_url(text)
    _, _, rest = url.partition("://")
    if url.startswith("sqlite"):
        if rest in ("/", "/:memory:") or "?" in rest:
            raise ValueError("no file that lasts, or more than a file")
    elif (place := _PLACE.match(rest)) is None or int(place[1] or 0) > 65535:
        # Where a password has an @, what follows it would be taken for the host, and shown.
        raise ValueError("no place")
    return url


def _yes_no(text: str) -> bool:
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[text.lower()]


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[\w.:\[\]-]+/?", text):
        raise ValueError(text)
    return text.rstrip("/")


_URL = Kind(_url, "http:// or https:// with a host, and nothing behind it")
_YES_NO = Kind(_yes_no, "yes or no", lambda value: "yes" if value else "no")
_HOST = Kind(_host, "an IP address or a host name")
_SIZE = Kind(_size, "a size in bytes, such as 65536, 64KiB or 1MiB, and more than 0", _show_size)
_COUNT = _between(1, 1_000_000)
_RETENTION = _duration(HOUR, 3650 * DAY)
_NETWORKS = Kind(
    _networks,
    "networks separated by commas, without host bits, such as 10.0.0.0/8, ::1/128",
    lambda networks: ", ".join(map(str, networks)),
)
_DATABASE = Kind(
    _database,
    "sqlite:///file (three slashes, four for an absolute path), or postgresql://user:password@host:port/database "
    "(in the password %40 stands for @)",
)
_MASTER_KEY = Kind(_master_key, "32 bytes in base64, such as `openssl rand -base64 32` writes")
_ADMIN_KEY = Kind(_admin_key, "16 to 256 printable ASCII characters without spaces")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator decides. Sizes are in bytes, times in seconds."""

    host: Annotated[str, Setting(_HOST, "The address that the server listens on.")] = "127.0.0.1"
    port: Annotated[
        int, Setting(_between(0, 65535, "a port number"), "The port that the server listens on; 0 takes any free one.")
    ] = 8080
    public_url: Annotated[
        str,
        Setting(
            _URL,
            "Where people and senders reach this server, such as `https://tracklayer.example.com`: links and examples "
            "are made from it, and over https cookies insist on TLS. Unset: as the browser, or the log, has it.",
        ),
    ] = ""
    development: Annotated[
        bool, Setting(_YES_NO, "Serve `/_components`, the page that shows every part of the console.")
    ] = False
    data_dir: Annotated[
        Path,
        Setting(
            Kind(Path, "a directory"), "Where the database and the keys are kept; relative to the working directory."
        ),
    ] = Path("tracklayer-data")
    database_url: Annotated[
        str,
        Setting(
            _DATABASE,
            "The database: `sqlite:///…`, or `postgresql://…` for many machines. "
            "Unset: SQLite, `tracklayer.db` in the data directory.",
            secret=True,
        ),
    ] = ""
    database_connections: Annotated[
        int, Setting(_between(2, 100), "The most connections of this process to PostgreSQL, beside two for itself.")
    ] = 8
    role: Annotated[
        Literal["all", "api", "worker"],
        Setting(
            _choice("all", "api", "worker"),
            "What this process does: `api` takes events and calls, `worker` delivers, `all` does both. "
            "On SQLite there is one process, and it does all.",
        ),
    ] = "all"
    master_key: Annotated[
        bytes | None,
        Setting(
            _MASTER_KEY,
            "The key that encrypts secrets: 32 bytes in base64. Unset: made once in the data directory, mode 0600.",
            secret=True,
        ),
    ] = None
    admin_key: Annotated[
        str | None,
        Setting(_ADMIN_KEY, "A first API key with every scope. Unset: one is made and printed once.", secret=True),
    ] = None
    allow_networks: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Setting(_NETWORKS, "Networks (CIDR) that a destination may reach although they are private or local."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[IPv4Network | IPv6Network, ...],
        Setting(
            _NETWORKS,
            "Networks (CIDR) of proxies before the console: their `X-Forwarded-For` and `X-Forwarded-Proto` count.",
        ),
    ] = ()
    geo_file: Annotated[
        Path | None,
        Setting(
            Kind(Path, "a file"),
            "A database in MaxMind's format (`.mmdb`, of cities or countries) that tells where an IP address is. "
            "Unset: events get no `context.geo`.",
        ),
    ] = None
    log_level: Annotated[
        str, Setting(_choice("debug", "info", "warning", "error"), "The least severe log line that is written.")
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"],
        Setting(_choice("json", "console"), "`json` for machines, one object a line; `console` for people."),
    ] = "json"
    request_limit: Annotated[int, Setting(_SIZE, "The largest request body, after decompression.")] = MIB
    event_limit: Annotated[int, Setting(_SIZE, "The largest event; of a source, what is made of its payload.")] = (
        256 * KIB
    )
    batch_limit: Annotated[int, Setting(_COUNT, "The most events in one batch.")] = 500
    template_limit: Annotated[int, Setting(_SIZE, "The largest template.")] = 64 * KIB
    body_limit: Annotated[int, Setting(_SIZE, "The largest rendered body; a larger one is a dead letter.")] = MIB
    response_limit: Annotated[
        int, Setting(_SIZE, "How much of a receiver's answer is read and kept; of a success 2,048 characters.")
    ] = 64 * KIB
    filter_depth: Annotated[int, Setting(_between(1, 64), "How deep a filter may nest.")] = 8
    destinations_limit: Annotated[int, Setting(_COUNT, "The most destinations in a workspace.")] = 1000
    dedup_window: Annotated[float, Setting(_duration(1), "How long the same `event_id` counts as the same event.")] = (
        24 * HOUR
    )
    retention_events: Annotated[
        float,
        Setting(
            _RETENTION,
            "How long events are kept, and deliveries since they ended; what waits stays, whatever its age. "
            "At least the dedup window.",
        ),
    ] = 30 * DAY
    retention_attempts: Annotated[
        float, Setting(_RETENTION, "How long attempts are kept, at most as long as their delivery.")
    ] = 30 * DAY
    retention_bodies: Annotated[
        float,
        Setting(
            _RETENTION, "How long requests of failed attempts are kept whose delivery is no dead letter after all."
        ),
    ] = 14 * DAY
    retention_dead_letters: Annotated[
        float,
        Setting(
            _RETENTION,
            "How long dead letters are kept, with their event, attempts and request. At least as long as events.",
        ),
    ] = 90 * DAY
    stop_timeout: Annotated[
        float, Setting(_duration(0), "How long a stop waits for what is in flight before it cuts it off.")
    ] = 20.0
    lease: Annotated[
        float,
        Setting(_duration(1), "How long a process owns a delivery; after a crash it is taken up again that late."),
    ] = 60.0
    concurrency: Annotated[int, Setting(_between(1, 10_000), "The most attempts in flight to one destination.")] = 64
    queue_bytes: Annotated[
        int, Setting(_SIZE, "Memory for deliveries that wait; beyond it they wait in the database only.")
    ] = 64 * MIB
    ingest_queue: Annotated[
        int, Setting(_COUNT, "The most events that wait for their commit; beyond it callers are answered 503.")
    ] = 10_000

    def __post_init__(self) -> None:
        if not self.database_url:
            url = async_database_url(f"sqlite:///{self.data_dir / 'tracklayer.db'}")
            msgspec.structs.force_setattr(self, "database_url", url)

    def __repr__(self) -> str:
        shown = (f"{e.field}={'***' if e.setting.secret else getattr(self, e.field)!r}" for e in settings_table())
        return f"Settings({', '.join(shown)})"


def settings_table() -> tuple[Entry, ...]:
    """Every setting, in the order of the docs."""
    hints = get_type_hints(Settings, include_extras=True)
    return tuple(
        Entry(field.name, PREFIX + field.name.upper(), hints[field.name].__metadata__[0], field.default)
        for field in msgspec.structs.fields(Settings)
    )


def load_settings(environ: Mapping[str, str], overrides: Mapping[str, str] = MappingProxyType({})) -> Settings:
    """The settings of `environ` (names as in the docs) under `overrides` (the same names as fields: `data_dir`).

    An empty value counts as not given. Raises `SettingsError` for an unknown `TRACKLAYER_…` variable, an unknown
    override, and a value that cannot be used; the message never shows the value of a secret.
    """
    table = settings_table()
    values = _read({entry.variable: entry for entry in table}, environ, prefix=PREFIX)
    values |= _read({entry.field: entry for entry in table}, overrides, prefix="")
    return Settings(**values)


def _read(known: Mapping[str, Entry], given: Mapping[str, str], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in given.items():
        if not name.startswith(prefix) or name in CLIENT_VARIABLES:
            continue
        if name not in known:
            names = [key.removeprefix(prefix) for key in (*known, *(CLIENT_VARIABLES if prefix else ()))]
            near = difflib.get_close_matches(name.removeprefix(prefix), names, n=1)
            hint = f"did you mean {prefix}{near[0]}?" if near else "docs/settings.md lists them all"
            raise SettingsError(name, f"is not a setting: {hint}")
        if text.strip():
            values[known[name].field] = _parse(name, known[name].setting, text.strip())
    return values


def _parse(name: str, setting: Setting, text: str) -> object:
    try:
        return setting.kind.parse(text)
    except (ValueError, KeyError, Invalid):
        value = "(a secret, not shown)" if setting.secret else repr(text)
        # No cause is kept: a parser's own message may repeat a secret.
        raise SettingsError(name, f"= {value} cannot be used: expected {setting.kind.expected}") from None
