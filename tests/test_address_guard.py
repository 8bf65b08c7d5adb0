"""Which addresses a destination may have."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklayer.transport.address_guard import refusal


@pytest.mark.parametrize(
    "address",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "198.17.0.1", "223.255.255.255",
     "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_a_public_address_may_be_had(address: str) -> None:
    assert refusal(ip_address(address)) is None


@pytest.mark.parametrize(
    "address, reason",
    [
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "reserved"),
        ("10.0.0.1", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.100.100.200", "the metadata service of a cloud"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("168.63.129.16", "the metadata service of a cloud"),
        ("169.254.169.254", "the metadata service of a cloud"),
        ("169.254.170.2", "the metadata service of a cloud"),
        ("169.254.0.1", "link-local"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.8", "reserved"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "reserved"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "benchmarking"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.9", "documentation"),
        ("224.0.0.1", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::2", "the IPv4-compatible form of 0.0.0.2, which is reserved"),
        ("::127.0.0.1", "the IPv4-compatible form of 127.0.0.1, which is loopback"),
        ("::8.8.8.8", "the IPv4-compatible form of 8.8.8.8, which no receiver has"),
        ("::ffff:10.0.0.1", "the IPv4-mapped form of 10.0.0.1, which is private"),
        ("::ffff:0:127.0.0.1", "the IPv4-translated form of 127.0.0.1, which is loopback"),
        ("64:ff9b::a9fe:a9fe", "the NAT64 form of 169.254.169.254, which is the metadata service of a cloud"),
        ("64:ff9b:1::1", "reserved"),
        ("100::1", "reserved"),
        ("2001::1", "the Teredo form of 0.0.0.0, which is unspecified"),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "the Teredo form of 10.0.0.1, which is private"),
        ("2001:0:4136:e378:8000:63bf:f7f7:f7f7", "the Teredo form of 8.8.8.8, which no receiver has"),
        ("2001:2::1", "benchmarking"),
        ("2001:20::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::", "the 6to4 form of 127.0.0.1, which is loopback"),
        ("2002:808:808::1", "the 6to4 form of 8.8.8.8, which no receiver has"),
        ("2606:4700::5efe:10.0.0.1", "the ISATAP form of 10.0.0.1, which is private"),
        ("2606:4700::200:5efe:10.0.0.1", "the ISATAP form of 10.0.0.1, which is private"),
        ("3fff::1", "documentation"),
        ("4000::1", "reserved"),
        ("5f00::1", "reserved"),
        ("fc00::1", "private (unique local)"),
        ("fd00:ec2::254", "the metadata service of a cloud"),
        ("fd20:ce::254", "the metadata service of a cloud"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "site-local"),
        ("ff02::1", "multicast"),
    ],
)
def test_an_address_that_is_not_public_is_refused_with_its_reason(address: str, reason: str) -> None:
    assert refusal(ip_address(address)) == reason


@pytest.mark.parametrize(
    "address, allowed",
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("169.254.169.254", "169.254.169.254/32"),
        ("::1", "::1/128"),
        ("fd12::1", "fd00::/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "::ffff:0:0/96"),
        ("2002:a01:203::", "10.0.0.0/8"),
        ("64:ff9b::a01:203", "10.0.0.0/8"),
    ],
)
def test_an_allowed_network_opens_its_addresses_and_the_forms_that_carry_them(address: str, allowed: str) -> None:
    assert refusal(ip_address(address)) is not None
    assert refusal(ip_address(address), [ip_network(allowed)]) is None


@pytest.mark.parametrize(
    "address, allowed",
    [
        ("10.1.2.3", "10.1.2.4/32"),
        ("::1", "127.0.0.0/8"),
        ("127.0.0.1", "::1/128"),
        ("::1", "0.0.0.0/0"),
        ("fd00::1", "fe80::/10"),
        ("2001:0:a01:203:8000:63bf:3fff:fffe", "10.0.0.0/8"),  # Teredo: the server is allowed, the client 192.0.0.1 not
    ],
)
def test_an_allowed_network_opens_nothing_else(address: str, allowed: str) -> None:
    assert refusal(ip_address(address), [ip_network(allowed)]) is not None


@given(st.ip_addresses(v=4))
def test_what_python_calls_not_global_is_refused(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert refusal(address) is not None


@given(st.ip_addresses(v=6))
def test_ipv6_outside_the_global_unicast_range_is_refused_unless_it_is_ipv4_in_disguise(address: IPv6Address) -> None:
    disguised = address.ipv4_mapped is not None or address in ip_network("64:ff9b::/96")
    if address not in ip_network("2000::/3") and not disguised:
        assert refusal(address) is not None


@given(st.ip_addresses(v=4), st.integers(0, 2**64 - 1))
def test_a_refused_ipv4_address_is_refused_in_every_ipv6_form(address: IPv4Address, rest: int) -> None:
    inner = int(address)
    mapped, nat64 = IPv6Address(0xFFFF << 32 | inner), IPv6Address(0x0064_FF9B << 96 | inner)
    others = [
        IPv6Address(0xFFFF << 48 | inner),
        IPv6Address(inner),
        IPv6Address(0x2002 << 112 | inner << 80 | rest),
        IPv6Address(0x2001 << 112 | inner << 64 | rest),
        IPv6Address(0x2001 << 112 | 0x0808_0808 << 64 | ~inner & 0xFFFF_FFFF),
        IPv6Address(0x2606_4700 << 96 | 0x5EFE << 32 | inner),
    ]
    assert all(refusal(form) is not None for form in others)
    for form in (mapped, nat64):
        assert (refusal(form) is None) == (refusal(address) is None)


@given(st.ip_addresses(), st.data())
def test_an_address_in_an_allowed_network_is_never_refused(
    address: IPv4Address | IPv6Address, data: st.DataObject
) -> None:
    prefix = data.draw(st.integers(0, address.max_prefixlen))
    assert refusal(address, [ip_network(f"{address}/{prefix}", strict=False)]) is None
