"""Which addresses a destination may have: those of the public internet, and those that the operator allows.

The ranges are the IANA special-purpose registries (https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry), multicast, and the addresses at which clouds answer
with credentials. `ipaddress.is_global` is not used: what it says has changed between patch releases of Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple, TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_METADATA = "the metadata service of a cloud"

# The first range that contains an address names the reason, so a narrow one stands before the one around it.
_REFUSED: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), reason)
    for network, reason in (
        ("169.254.169.254/32", _METADATA),  # AWS, Azure, GCP, Oracle, DigitalOcean
        ("169.254.170.2/32", _METADATA),  # AWS ECS credentials
        ("100.100.100.200/32", _METADATA),  # Alibaba
        ("168.63.129.16/32", _METADATA),  # Azure; a public address that only a virtual machine there reaches
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "reserved"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("fd00:ec2::/32", _METADATA),  # AWS
        ("fd20:ce::254/128", _METADATA),  # GCP
        ("fc00::/7", "private (unique local)"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
        ("2001:2::/48", "benchmarking"),
        ("2001:db8::/32", "documentation"),
        ("3fff::/20", "documentation"),
        ("2001::/23", "reserved"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all of IPv6 outside it is reserved


class _Embedding(NamedTuple):
    """A form of IPv6 address that carries IPv4 addresses; `matches` and `inside` see the address as a number."""

    name: str
    matches: Callable[[int], bool]
    inside: Callable[[int], tuple[int, ...]]
    live: (
        bool  # in use today, and as reachable as the IPv4 address inside; the others are historic, no receiver has one
    )


def _under(network: str) -> Callable[[int], bool]:
    parsed = IPv6Network(network)
    prefix, shift = int(parsed.network_address), 128 - parsed.prefixlen
    return lambda number: number >> shift == prefix >> shift


def _low(number: int) -> tuple[int, ...]:
    return (number & 0xFFFF_FFFF,)


_ISATAP = 0x5EFE  # the upper half of an interface identifier, its universal/local bit aside
_EMBEDDINGS = (
    _Embedding("IPv4-mapped", _under("::ffff:0:0/96"), _low, live=True),  # RFC 4291
    _Embedding("NAT64", _under("64:ff9b::/96"), _low, live=True),  # RFC 6052
    _Embedding("IPv4-translated", _under("::ffff:0:0:0/96"), _low, live=False),  # RFC 2765
    _Embedding("IPv4-compatible", lambda n: 1 < n < 1 << 32, _low, live=False),  # RFC 4291; not :: and ::1
    _Embedding("6to4", _under("2002::/16"), lambda n: (n >> 80 & 0xFFFF_FFFF,), live=False),  # RFC 3056
    _Embedding(  # RFC 4380: the server, and the client with its bits turned
        "Teredo", _under("2001::/32"), lambda n: (n >> 64 & 0xFFFF_FFFF, ~n & 0xFFFF_FFFF), live=False
    ),
    _Embedding("ISATAP", lambda n: n >> 32 & 0xFDFF_FFFF == _ISATAP, _low, live=False),  # RFC 5214
)


def refusal(address: Address, allow: Sequence[Network] = ()) -> str | None:
    """Why no destination may have `address`, in words that follow "is"; None where it may.

    An address in one of the `allow` networks may always be had; one that carries IPv4 addresses also where all of
    these are in `allow`. A link-local address's scope is not looked at.
    """
    if _within(address, allow):
        return None
    if isinstance(address, IPv4Address):
        return _special(address)
    embedding = next((form for form in _EMBEDDINGS if form.matches(int(address))), None)
    if embedding is None:
        return _special(address) or (None if address in _GLOBAL_UNICAST else "reserved")
    carried = [IPv4Address(number) for number in embedding.inside(int(address))]
    for inner in carried:
        reason = refusal(inner, allow)
        if reason is not None:
            return f"the {embedding.name} form of {inner}, which is {reason}"
    if embedding.live or all(_within(inner, allow) for inner in carried):
        return None
    return f"the {embedding.name} form of {carried[-1]}, which no receiver has"


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _special(address: Address) -> str | None:
    return next((reason for network, reason in _REFUSED if address in network), None)
