"""Where a URL leads: scheme, host and port, as the HTTP client itself reads them."""

from __future__ import annotations

from typing import NamedTuple, Self

from pyreqwest.http import Url


class Origin(NamedTuple):
    """An origin (RFC 6454) of the web."""

    scheme: str  # "http" or "https"
    host: str  # exactly as the client's parser gives it (an IPv6 address in brackets), or the pin does not hold
    port: int

    @classmethod
    def of(cls, url: Url) -> Self | None:
        """The origin of `url`; None where it is not of the web or names no host."""
        scheme, host, port = url.scheme, url.host_str, url.port_or_known_default
        if scheme not in ("http", "https") or not host or port is None:
            return None
        return cls(scheme, host, port)

    @property
    def name(self) -> str:
        """The host as a resolver wants it: without brackets."""
        return self.host.strip("[]")

    @property
    def where(self) -> str:
        """For people: `host:port`."""
        return f"{self.host}:{self.port}"
