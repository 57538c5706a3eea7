"""Says which IP addresses an outbound call may dial.

Pure, and with a table of its own: `ipaddress.is_private` and `is_global` differ between Python versions and let some
special ranges pass. The ranges are those of IANA's IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), and a
few that clouds use for themselves.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_IPV4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "wildcard"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier-shared"),  # RFC 6598; Alibaba's metadata 100.100.100.200 too
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud platform"),  # Azure's host agent, reachable from every machine there
        ("169.254.0.0/16", "link-local"),  # the metadata of most clouds
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),  # Oracle's metadata 192.0.0.192 too
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "relay"),  # 6to4 anycast, RFC 7526
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmark"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)

_IPV6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "wildcard"),
        ("::1/128", "loopback"),
        ("2001::/23", "reserved"),  # Teredo, ORCHID, benchmarks and other protocol assignments
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "relay"),  # 6to4 carries an IPv4 address
        ("3ffe::/16", "reserved"),  # the former 6bone, given back
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "private"),
        ("ff00::/8", "multicast"),
    )
)

_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA gives out; the rest of IPv6 is reserved
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(address: Address, allowed_networks: Iterable[Network] = ()) -> str | None:
    """The kind of special address this is ("private", "loopback", …), or None where it may be dialled.

    An address inside one of `allowed_networks` may be dialled whatever its kind. An IPv6 address that carries an IPv4
    one (IPv4-mapped, NAT64) is judged as the IPv4 address it leads to.
    """
    address = _carried(address)
    if any(address in network for network in allowed_networks):
        return None
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _IPV4 if address in network), None)
    kind = next((kind for network, kind in _IPV6 if address in network), None)
    return kind or (None if address in _GLOBAL_UNICAST else "reserved")


def _carried(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address
