"""Pages out of templates: the environment, what every page knows, whole pages and fragments."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jinja2
import msgspec
from litestar import Request, Response
from litestar.enums import MediaType

from tracklayer import __version__
from tracklayer.service import Service
from tracklayer.web.console import words
from tracklayer.web.console.access import Visitor, policy, visitor
from tracklayer.web.console.forgery import form_token
from tracklayer.web.console.sparkline import bars

NOT_BUILT = "/static/not-built--run-make-assets"


class Link(NamedTuple):
    """An entry of the rail; `key` is pressed after `g`."""

    name: str
    path: str
    icon: str
    key: str


WORK = (
    Link("Events", "/events", "event", "e"),
    Link("Deliveries", "/deliveries", "send", "l"),
    Link("Dead letters", "/dead-letters", "inbox", "x"),
    Link("Destinations", "/settings/destinations", "target", "d"),
    Link("Audiences", "/audiences", "person", "u"),
    Link("Sources", "/settings/sources", "source", "o"),
)
CARE = (
    Link("Settings", "/settings/workspace", "gear", "s"),
    Link("Audit", "/audit", "log", "a"),
)


class Renderer:
    """Renders templates, each compiled once."""

    def __init__(self) -> None:
        """A value that a template lacks is an error."""
        self._assets = _Assets()
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("tracklayer.web.console"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            cache_size=-1,  # all of them
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "count": words.count,
            "percent": words.percent,
            "duration": words.duration,
            "milliseconds": words.milliseconds,
            "size": words.size,
            "moment": words.moment,
            "moment_text": words.moment_text,
            "pretty": words.pretty,
            "sentence": words.sentence,
            "masked": words.masked,
            "scheme_name": words.scheme_name,
            "rate": words.rate,
            "zip": lambda left, right: list(zip(left, right, strict=True)),
            "bars": bars,
            "chart_line": _chart_line,
        }
        self._environment.globals |= {
            "asset": self.asset,
            "icons": words.ICONS,
            "state_of": words.state_of,
            "work_links": WORK,
            "care_links": CARE,
            "product_version": __version__,
        }

    def asset(self, name: str) -> str:
        """The address of a built file: `app.css`."""
        found = self._assets.name(name)
        return NOT_BUILT if found is None else f"/static/{found}"

    async def warm(self) -> None:
        """Compile every template, which takes about half a second: or the first to see a page would wait for it."""
        for name in self._environment.list_templates(extensions=["html"]):
            await asyncio.to_thread(self._environment.get_template, name)

    def text(self, template: str, values: Mapping[str, object]) -> str:
        """A template's text."""
        return self._environment.get_template(template).render(values)


@cache
def renderer() -> Renderer:
    """This process's: what its templates compile to is the same for every application."""
    return Renderer()


def render(
    request: Request[Any, Any, Any],
    template: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: object,
) -> Response[str]:
    """A page or a fragment as an answer; every template knows the request, the visitor and the theme."""
    nonce = os.urandom(16).hex()
    token, cookie = form_token(request)
    given: dict[str, object] = {
        "request": request,
        "path": request.url.path,
        "visitor": _visitor(request),
        "theme": _theme(request),
        "nonce": nonce,
        "csrf": token,
        "dead_letters": request.scope["state"].get("dead_letters", 0),
    }
    used: Renderer = request.app.state.renderer
    text = used.text(template, given | values)
    sent = {"Content-Security-Policy": policy(nonce), "Vary": "HX-Request, Cookie"} | dict(headers or {})
    cookies = [] if cookie is None else [cookie]
    return Response(text, status_code=status, media_type=MediaType.HTML, headers=sent, cookies=cookies)


async def count_dead_letters(request: Request[Any, Any, Any]) -> None:
    """Have `render` know what the rail shows: for pages, and for answers to what makes it another number."""
    service: Service = request.app.state.service
    request.scope["state"]["dead_letters"] = (await service.health.totals(visitor(request).workspace_id)).dead


def is_fragment(request: Request[Any, Any, Any]) -> bool:
    """Whether htmx asks, so that a part of the page will do (a page restored from its history wants the whole)."""
    return request.headers.get("hx-request") == "true" and request.headers.get("hx-history-restore-request") != "true"


def see(request: Request[Any, Any, Any], path: str) -> Response[str]:
    """Go on to another page: 303, and for htmx the header that makes it do the same."""
    if is_fragment(request):
        return Response("", status_code=200, headers={"HX-Redirect": path})
    return Response("", status_code=303, headers={"Location": path})


def _chart_line(line: tuple[Any, ...]) -> dict[str, object]:
    label, colour, values, *how = line
    return {"label": label, "color": colour, "values": values, **({"isDashed": True} if how == ["dashed"] else {})}


def inside(path: str, otherwise: str = "/") -> str:
    """`path` where it is a page of ours: a link or a form may not lead people elsewhere.

    Browsers read a backslash as a slash, and leave out tabs and line ends: `/<tab>/host` leads to that host.
    """
    return path if _INSIDE.fullmatch(path) else otherwise


def came_from(request: Request[Any, Any, Any]) -> str:
    """The page of ours that a form stood on, as the browser tells; empty where it tells none."""
    try:
        told = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return ""
    public_url: str = request.app.state.service.settings.public_url
    if told.netloc not in (request.url.netloc, urlsplit(public_url).netloc):
        return ""
    return inside(f"{told.path}?{told.query}".removesuffix("?"), "")


_INSIDE = re.compile(r"/(?![/\\])[!-~]*")


def _visitor(request: Request[Any, Any, Any]) -> Visitor | None:
    found = request.scope.get("auth")
    return found if isinstance(found, Visitor) else None


def _theme(request: Request[Any, Any, Any]) -> str:
    chosen = request.cookies.get("theme", "system")
    return chosen if chosen in ("light", "dark") else "system"


class _Assets:
    """The names of the built files, read again when they were built anew: an upgrade changes them under a server."""

    def __init__(self) -> None:
        self._file = Path(str(resources.files("tracklayer.web.console") / "static" / "manifest.json"))
        self._built_at = 0
        self._names: dict[str, str] = {}

    def name(self, wanted: str) -> str | None:
        """The file with its hash; None where the front end was not built."""
        try:
            built_at = self._file.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        if built_at != self._built_at:
            self._names = msgspec.json.decode(self._file.read_bytes(), type=dict[str, str])
            self._built_at = built_at
        return self._names.get(wanted)
