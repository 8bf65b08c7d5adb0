"""What every answer of the API has in common."""

from __future__ import annotations

from typing import Any

from tests.harness import Answer


def problem(answer: Answer, status: int, code: str, *, pointer: str | None = None, says: str = "") -> dict[str, Any]:
    """Check that `answer` is a problem (RFC 9457) with exactly this place, None for none, and answer its fields."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.body
    assert body["code"] == code, body
    assert body.get("pointer") == pointer, body
    assert body["type"] == "about:blank"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert says in body["detail"], body
    return body


def ok(answer: Answer, status: int = 200) -> Any:
    """Check the status and that JSON came, and answer the body."""
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    return answer.body
