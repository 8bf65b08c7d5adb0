"""What the demo's receiver does with a request, as a careful receiver would: who is it, and is it whole?"""

from __future__ import annotations

import hashlib
import hmac

from tracklayer.demo.receiver import Answer, Behaviour, Recorded


class Door:
    """Lets requests with the right token and signature in. It can be out of order for a while."""

    def __init__(self, *, token: str, signing_secret: str) -> None:
        self.token = token
        self.outages = 0  # requests that will be answered 503
        self.unverified = 0  # requests whose signature was wrong
        self._signing_secret = signing_secret

    def __call__(self, request: Recorded) -> Behaviour | None:
        """The answer to `request`; None: welcome."""
        if not self.verifies(request):
            self.unverified += 1
            return Answer(400, body=b"the signature is wrong")
        if self.outages:
            self.outages -= 1
            return Answer(503, body=b"out of order, come back soon")
        if header(request, "authorization") != f"Bearer {self.token}":
            return Answer(401, body=b"this token is not valid")
        return None

    def verifies(self, request: Recorded) -> bool:
        """Whether the signature is that of the raw body. This is all that a receiver has to write."""
        expected = hmac.new(self._signing_secret.encode(), request.body, hashlib.sha256).hexdigest()
        received = header(request, "x-tracklayer-signature").removeprefix("sha256=")
        return hmac.compare_digest(expected.encode(), received.encode())


def header(request: Recorded, name: str) -> str:
    """The value of a header, whatever its case; "" where there is none."""
    return next((value for key, value in request.headers if key.lower() == name), "")
