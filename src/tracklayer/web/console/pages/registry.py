"""Every page of the console."""

from __future__ import annotations

from litestar import Controller

from tracklayer.web.console.pages.components import ComponentsPage
from tracklayer.web.console.pages.destinations import DestinationsPages
from tracklayer.web.console.pages.session import SessionPages

PAGES: tuple[type[Controller], ...] = (SessionPages, DestinationsPages, ComponentsPage)
