"""The network: HTTP requests to receivers, to addresses that a destination may have and to no other."""

from tracklayer.transport.http_transport import HttpTransport

__all__ = ["HttpTransport"]
