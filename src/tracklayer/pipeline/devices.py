"""What a user agent's text tells of device, system and browser, by the patterns of the uap-core project."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from ua_parser import OS, Device, Parser, Result, UserAgent
from ua_parser.loaders import load_builtins
from ua_parser.regex import Resolver

from tracklayer.model.event import Json

LONGEST = 1024  # characters; a longer text is no browser's
REMEMBERED = 8192  # user agents: reading one takes 25 µs, remembering 0.1 µs

_DESKTOPS = frozenset(("Windows", "Mac OS X", "Linux", "Ubuntu", "Fedora", "Debian", "Chrome OS", "FreeBSD", "OpenBSD"))


ReadUserAgent = Callable[[str], dict[str, dict[str, Json]]]
"""A user agent's text → the fields of `context` that it tells of; only what is known. Not to be changed.

- `device`: family, brand, model, type ("mobile", "tablet", "desktop", "tv", "bot")
- `os`, `browser`: family, version
"""


def user_agent_reader() -> ReadUserAgent:
    """A reader of user agents that remembers those it has read. Its first reading loads the patterns: 0.6 s, once."""
    read = lru_cache(maxsize=REMEMBERED)(_read)
    return lambda text: read(text[:LONGEST])


@cache  # immutable, and 34 MB
def _patterns() -> Parser:
    return Parser(Resolver(load_builtins()))


def _read(text: str) -> dict[str, dict[str, Json]]:
    parsed = _patterns().parse(text)
    found = {"device": _device(parsed, text), "os": _system(parsed.os), "browser": _browser(parsed.user_agent)}
    return {name: told for name, told in found.items() if told}


def _device(parsed: Result, text: str) -> dict[str, Json]:
    device = parsed.device or Device("")
    kind = _kind(parsed, text)
    found = {"family": device.family, "brand": device.brand, "model": device.model, "type": kind}
    return {name: value for name, value in found.items() if value}


def _kind(parsed: Result, text: str) -> str | None:
    """The patterns do not tell it; these are the marks that browsers' makers document."""
    if parsed.device is not None and parsed.device.family == "Spider":
        return "bot"
    system = parsed.os.family if parsed.os else ""
    if "TV" in text or (system in ("tvOS", "Tizen", "webOS") and "Mobile" not in text):
        return "tv"
    if "iPad" in text or "Tablet" in text or (system == "Android" and "Mobile" not in text):
        return "tablet"
    if "Mobi" in text or "iPhone" in text or system in ("iOS", "Android"):
        return "mobile"
    return "desktop" if system in _DESKTOPS else None


def _system(system: OS | None) -> dict[str, Json]:
    if system is None:
        return {}
    return _named(system.family, system.major, system.minor, system.patch)


def _browser(browser: UserAgent | None) -> dict[str, Json]:
    if browser is None:
        return {}
    return _named(browser.family, browser.major, browser.minor, browser.patch)


def _named(family: str, *numbers: str | None) -> dict[str, Json]:
    """The family, and its version up to the first part that is not known."""
    known: list[str] = []
    for number in numbers:
        if not number:
            break
        known.append(number)
    return {"family": family, "version": ".".join(known)} if known else {"family": family}
