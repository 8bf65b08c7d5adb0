"""What senders and receivers may try on those who look, and whether a page has let it through."""

from __future__ import annotations

from html.parser import HTMLParser

SCRIPT = "<script>alert(1)</script>"
IMAGE = "\"'><img src=x onerror=alert(1)>"
MARKUP = "</pre></details></svg><b hx-get='/sign-out' hx-trigger=load>{{7*7}}"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        is_ours = tag == "script" and ("src" in names or names.get("type") == "application/json")
        if tag in ("img", "b", "iframe", "object", "script") and not is_ours:
            self.found.append(f"<{tag}>")
        self.found += [f"{tag} {name}" for name in names if name.startswith("on") or name == "style"]
        self.found += [f"{tag} {name}={value}" for name, value in attrs if (value or "").startswith("javascript:")]


def let_through(text: str) -> list[str]:
    """Elements and attributes of a page that are none of ours."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader.found
