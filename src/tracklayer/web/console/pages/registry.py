"""Every page of the console."""

from __future__ import annotations

from litestar import Controller

from tracklayer.web.console.pages.components import ComponentsPage
from tracklayer.web.console.pages.dead_letters import DeadLettersPages
from tracklayer.web.console.pages.destination_care import DestinationCarePages
from tracklayer.web.console.pages.destinations import DestinationsPages
from tracklayer.web.console.pages.editor import EditorPages
from tracklayer.web.console.pages.session import SessionPages

PAGES: tuple[type[Controller], ...] = (
    SessionPages,
    DestinationsPages,
    EditorPages,
    DestinationCarePages,
    DeadLettersPages,
    ComponentsPage,
)
