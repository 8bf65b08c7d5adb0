"""Writing in the console's code editors, as a person does."""

from __future__ import annotations

from playwright.sync_api import Locator


def write(editor: Locator, text: str) -> None:
    """Replace all that stands in an editor, in one go: typed letter by letter, brackets close themselves."""
    editor.press("Control+a")
    # Chromium gives what is typed over a selection the look of it, by an inline style that the page's policy refuses.
    editor.press("Delete")
    editor.page.keyboard.insert_text(text)
