"""Every page of the console."""

from __future__ import annotations

from litestar import Controller

from tracklayer.web.console.pages.account import AccountPages
from tracklayer.web.console.pages.audiences import AudiencePages
from tracklayer.web.console.pages.audit import AuditPages
from tracklayer.web.console.pages.components import ComponentsPage
from tracklayer.web.console.pages.consent import ConsentPages
from tracklayer.web.console.pages.dead_letters import DeadLettersPages
from tracklayer.web.console.pages.deliveries import DeliveriesPages
from tracklayer.web.console.pages.destination_care import DestinationCarePages
from tracklayer.web.console.pages.destinations import DestinationsPages
from tracklayer.web.console.pages.editor import EditorPages
from tracklayer.web.console.pages.events import EventsPages
from tracklayer.web.console.pages.rejected import RejectedPages
from tracklayer.web.console.pages.session import SessionPages
from tracklayer.web.console.pages.settings import ApiKeyPages, SecretPages
from tracklayer.web.console.pages.sources import SourcePages
from tracklayer.web.console.pages.workspace import WorkspacePages

PAGES: tuple[type[Controller], ...] = (
    SessionPages,
    EventsPages,
    DeliveriesPages,
    DestinationsPages,
    EditorPages,
    DestinationCarePages,
    DeadLettersPages,
    SourcePages,
    WorkspacePages,
    ApiKeyPages,
    SecretPages,
    AccountPages,
    AudiencePages,
    ConsentPages,
    AuditPages,
    ComponentsPage,
    RejectedPages,
)
