"""The fields of a page's form, as a browser would send them."""

from __future__ import annotations

from html.parser import HTMLParser

_TYPED = ("checkbox", "radio")


def fields_of(text: str, form_class: str) -> dict[str, str]:
    """What the form with that class would send as it stands: its inputs, areas and choices by name."""
    reader = _Reader(form_class)
    reader.feed(text)
    return reader.fields


class _Reader(HTMLParser):
    def __init__(self, form_class: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._wanted = form_class
        self._inside = False
        self._area: str | None = None
        self._select: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._inside = found.get("class") == self._wanted
        if not self._inside:
            return
        name = found.get("name", "")
        if tag == "input" and name and (found.get("type") not in _TYPED or "checked" in found):
            self.fields[name] = found.get("value", "")
        elif tag == "textarea":
            self._area = name
            self.fields[name] = ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and ("selected" in found or self._select not in self.fields):
            self.fields[self._select] = found.get("value", "")

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            self.fields[self._area] = self.fields[self._area].removeprefix("\n")
            self._area = None
        elif tag == "select":
            self._select = None
        elif tag == "form":
            self._inside = False
