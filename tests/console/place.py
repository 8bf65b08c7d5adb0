"""One test's own corner of the console's server: a path of the receiver, an event name, its destinations."""

from __future__ import annotations

from tests.console.client import Console, Page
from tests.harness import Api, ReceiverThread
from tests.web.site import Site


class Place(Site):
    """A corner of the API's server with a browser in front of it."""

    def __init__(self, console: Console, api: Api, receiver: ReceiverThread, name: str) -> None:
        super().__init__(api, receiver, name)
        self.console = console

    def page(self, destination_id: str, tab: str = "") -> Page:
        """A page of one destination, which must be there."""
        page = self.console.get(f"/settings/destinations/{destination_id}{tab}")
        assert page.status == 200, page.words
        return page

    def send_form(self, destination_id: str, tab: str, **fields: str) -> Page:
        """Send a form of one destination's pages."""
        return self.console.post(f"/settings/destinations/{destination_id}{tab}", fields)
