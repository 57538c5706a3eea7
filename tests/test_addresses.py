from ipaddress import IPv4Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automations.addresses import refusal

# First and last address of each range.
REFUSED = {
    "0.0.0.0": "wildcard",
    "0.255.255.255": "wildcard",
    "10.0.0.0": "private",
    "10.255.255.255": "private",
    "100.64.0.0": "carrier-shared",
    "100.100.100.200": "carrier-shared",
    "100.127.255.255": "carrier-shared",
    "127.0.0.0": "loopback",
    "127.0.0.1": "loopback",
    "127.255.255.255": "loopback",
    "168.63.129.16": "cloud platform",
    "169.254.0.0": "link-local",
    "169.254.169.254": "link-local",
    "169.254.255.255": "link-local",
    "172.16.0.0": "private",
    "172.31.255.255": "private",
    "192.0.0.0": "reserved",
    "192.0.0.192": "reserved",
    "192.0.0.255": "reserved",
    "192.0.2.0": "documentation",
    "192.0.2.255": "documentation",
    "192.88.99.0": "relay",
    "192.88.99.255": "relay",
    "192.168.0.0": "private",
    "192.168.255.255": "private",
    "198.18.0.0": "benchmark",
    "198.19.255.255": "benchmark",
    "198.51.100.0": "documentation",
    "198.51.100.255": "documentation",
    "203.0.113.0": "documentation",
    "203.0.113.255": "documentation",
    "224.0.0.0": "multicast",
    "239.255.255.255": "multicast",
    "240.0.0.0": "reserved",
    "255.255.255.254": "reserved",
    "255.255.255.255": "broadcast",
    "::": "wildcard",
    "::1": "loopback",
    "::2": "reserved",
    "::127.0.0.1": "reserved",  # IPv4-compatible, long given up
    "64:ff9b:1::1": "reserved",  # NAT64 of one's own network
    "100::1": "reserved",
    "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "reserved",
    "2001::": "reserved",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "reserved",  # Teredo
    "2001:2::1": "reserved",
    "2001:10::1": "reserved",
    "2001:20::1": "reserved",
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff": "reserved",
    "2001:db8::": "documentation",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff": "documentation",
    "2002:7f00:1::": "relay",
    "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "relay",
    "3ffe::1": "reserved",
    "3fff::": "documentation",
    "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff": "documentation",
    "4000::": "reserved",
    "5f00::1": "reserved",
    "fc00::": "private",
    "fd00:ec2::254": "private",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "private",
    "fe80::": "link-local",
    "fe80::1%eth0": "link-local",
    "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "link-local",
    "fec0::1": "private",
    "ff02::1": "multicast",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": "multicast",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:169.254.169.254": "link-local",
    "::ffff:0:0": "wildcard",
    "64:ff9b::127.0.0.1": "loopback",
    "64:ff9b::10.0.0.1": "private",
    "64:ff9b::a9fe:a9fe": "link-local",
}

# Beside the ranges, and well-known public ones.
DIALLED = [
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "168.63.129.15",
    "168.63.129.17",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2000::1",
    "2001:200::1",
    "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db9::",
    "2001:4860:4860::8888",
    "2003::1",
    "2606:4700:4700::1111",
    "3ffd:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "3fff:1000::",
]


@pytest.mark.parametrize(("address", "kind"), REFUSED.items())
def test_a_special_address_is_not_dialled(address: str, kind: str) -> None:
    assert refusal(ip_address(address)) == kind


@pytest.mark.parametrize("address", DIALLED)
def test_a_public_address_is_dialled(address: str) -> None:
    assert refusal(ip_address(address)) is None


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
        ("127.0.0.1/32", "127.0.0.1", "127.0.0.2"),
        ("10.1.0.0/16", "::ffff:10.1.0.1", "::ffff:10.2.0.1"),
        ("10.1.0.0/16", "64:ff9b::10.1.0.1", "64:ff9b::10.2.0.1"),
        ("fd00:1::/32", "fd00:1::5", "fd00:2::5"),
        ("::1/128", "::1", "127.0.0.1"),
        ("127.0.0.0/8", "127.9.9.9", "::1"),
        ("0.0.0.0/0", "169.254.169.254", "fe80::1"),
        ("::/0", "fe80::1", "::ffff:10.0.0.1"),
    ],
)
def test_an_allowed_network_opens_itself_and_nothing_else(network: str, inside: str, outside: str) -> None:
    allowed = [ip_network(network)]
    assert refusal(ip_address(inside), allowed) is None
    assert refusal(ip_address(outside), allowed) is not None


def test_allowing_a_network_keeps_public_addresses_open() -> None:
    assert refusal(ip_address("8.8.8.8"), [ip_network("10.0.0.0/8")]) is None


@given(st.ip_addresses(v=4))
def test_a_wrapped_ipv4_address_is_judged_as_itself(address: IPv4Address) -> None:
    assert refusal(ip_address(f"::ffff:{address}")) == refusal(address)
    assert refusal(ip_address(f"64:ff9b::{address}")) == refusal(address)
