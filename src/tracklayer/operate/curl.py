"""A request as a line for a shell: pasted, curl sends the same bytes."""

from __future__ import annotations

import shlex
from urllib.parse import quote

from tracklayer.delivery.redact import REDACTED
from tracklayer.model.work import KeptRequest

LONGEST_ARGUMENT = 100_000  # bytes; Linux allows 131,071

_MASKED = "# Secrets are masked: put them in where the dots are. A signature fits the body with the real ones."
_ESCAPED = "'\\-!"  # a format may not begin with -, and an interactive shell reads ! even between quotes


def curl_command(request: KeptRequest) -> str:
    """A command for a POSIX shell that makes this request: method, URL, headers in order, body.

    What a terminal could take for a key press (control characters, and whatever else does not show) is written as
    octal digits for `printf`: the body of an event must not be able to type into the shell of an operator. Secrets
    stay masked, and a comment says so.
    """
    body = b"" if request.body is None else request.body
    # curl takes @ for the name of a file, and no system takes an argument of any length.
    piped = body.startswith(b"@") or len(body) > LONGEST_ARGUMENT or not _shows(body)
    parts = [f"curl --globoff --request {request.method} {_word(request.url)}"]
    parts += [f"--header {_word(f'{name}: {value}' if value else f'{name};')}" for name, value in request.headers]
    if request.body is not None:
        parts.append("--data-binary @-" if piped else f"--data-binary {shlex.quote(body.decode())}")
    command = (f"printf {_format(body)} |\n" if piped else "") + " \\\n  ".join(parts)
    return f"{_MASKED}\n{command}" if _is_masked(request) else command


def _is_masked(request: KeptRequest) -> bool:
    """Whether a secret stood where now the dots are, as they are or as a URL has them."""
    texts = (request.url.encode(), request.body or b"", *(value.encode() for _, value in request.headers))
    dots = (REDACTED.encode(), quote(REDACTED).encode())
    return request.sealed is not None or any(each in text for each in dots for text in texts)


def _word(text: str) -> str:
    """One word of a command that is `text`."""
    raw = text.encode()
    return shlex.quote(text) if _shows(raw) else f'"$(printf {_format(raw)})"'


def _shows(raw: bytes) -> bool:
    """Whether these bytes are text that looks like what it is."""
    try:
        return all(char == "\n" or char.isprintable() for char in raw.decode())
    except UnicodeDecodeError:
        return False


def _format(raw: bytes) -> str:
    """The format with which `printf` (POSIX) writes these bytes."""
    return "'" + "".join(map(_octet, raw)) + "'"


def _octet(byte: int) -> str:
    char = chr(byte)
    if char == "%":
        return "%%"
    return char if " " <= char <= "~" and char not in _ESCAPED else f"\\{byte:03o}"
