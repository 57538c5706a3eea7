"""The one reading of a URL and of headers that is both checked and used. Pure: addresses are checked when dialled."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address
from typing import Final

import httpcore
import httpx

from automations.http.errors import Refused

URL_CHARACTERS: Final = 4096
HEADER_BYTES: Final = 32 * 1024
"""Most that the names and values of a request's headers have together."""

# Services that are harmed by text sent to them (after https://fetch.spec.whatwg.org/#port-blocking), and databases,
# queues and control planes that trust whoever can reach them.
# fmt: off
_DENIED_PORTS: Final = frozenset({
    0, 1, 7, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109,
    110, 111, 113, 115, 117, 119, 123, 135, 137, 138, 139, 143, 161, 162, 179, 389, 427, 445, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521, 1719,
    1720, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 3128, 3306, 3389, 3659, 4045, 4190, 4369, 5060, 5061,
    5432, 5433, 5672, 5900, 5984, 5985, 5986, 6000, 6379, 6380, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
    9042, 9092, 9200, 9300, 10250, 10255, 11211, 25672, 26379, 27017, 27018, 27019, 61613, 61616,
})
# Hop-by-hop and framing (RFC 9110, sections 7.6.1 and 10.1.1; RFC 9112, section 6): this module's own to set.
_DENIED_HEADERS: Final = frozenset({
    "connection", "content-length", "expect", "host", "http2-settings", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade",
})
# fmt: on
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_UNSAFE_IN_URL: Final = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


def check_url(url: str) -> None:
    """Raise Refused for a URL that must never be called. The addresses behind its name are checked when it is."""
    read_url(url)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise Refused for headers that would break or redirect the request (RFC 9110, section 5)."""
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise Refused("A header's name has characters that HTTP does not allow in names")
        if name.lower() in _DENIED_HEADERS:
            raise Refused(f'The header "{name.lower()}" belongs to the connection and cannot be set')
        if name.lower().startswith("proxy-"):
            raise Refused("Headers for proxies cannot be set")
        if _CONTROL.search(value):
            raise Refused("A header's value has a line break or another control character")
    if sum(len(name) + len(value.encode()) for name, value in headers.items()) > HEADER_BYTES:
        raise Refused(f"The headers have more than {HEADER_BYTES} bytes")


@dataclass(frozen=True)
class Target:
    """A URL that passed every rule: the one reading of it that is both checked and dialled."""

    url: httpcore.URL
    origin: httpcore.Origin
    host: str  # a name in ASCII without a trailing dot, or an address without brackets
    place: str  # host and port, for people
    host_header: str


@lru_cache(maxsize=256)
def read_url(url: str) -> Target:
    """Read a URL; raise Refused for one that must never be called."""
    if len(url) > URL_CHARACTERS:
        raise Refused(f"The URL has more than {URL_CHARACTERS} characters")
    if _UNSAFE_IN_URL.search(url) or not (url.isascii() or all(unicodedata.category(c)[0] not in "CZ" for c in url)):
        raise Refused("The URL has a space, a backslash or a control character")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise Refused("The URL cannot be read") from None
    if parsed.scheme not in ("http", "https"):
        raise Refused("The URL must begin with http:// or https://")
    if "@" in re.split("[/?#]", url.partition("//")[2], maxsplit=1)[0]:
        raise Refused("The URL must not have a user name or password before its host")
    host = _host(parsed.raw_host.decode("ascii"))
    port = parsed.port if parsed.port is not None else {"http": 80, "https": 443}[parsed.scheme]
    if port in _DENIED_PORTS or not 0 < port < 65536:
        raise Refused("The URL's port must be between 1 and 65535, and not one of a mail server, database or the like")
    place = place_of(host, port)
    return Target(
        url=httpcore.URL(scheme=parsed.raw_scheme, host=host.encode(), port=port, target=parsed.raw_path),
        origin=httpcore.Origin(parsed.raw_scheme, host.encode(), port),
        host=host,
        place=place,
        host_header=place if parsed.port is not None else place.rpartition(":")[0],
    )


def _host(host: str) -> str:
    if ":" in host:
        if "%" in host:
            raise Refused("The URL must not name a network interface (the part of an address after %)")
        return host
    host = host.removesuffix(".")
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("The URL's host is not a host name")
    # Every other way to write an IPv4 address (127.1, 0x7f.1, 0177.0.0.1, 2130706433) is understood by some resolver.
    if _NUMBER.fullmatch(labels[-1]):
        try:
            IPv4Address(host)
        except ValueError:
            raise Refused("The URL's host is a number; write an IPv4 address as four decimal numbers") from None
    return host


def place_of(host: str, port: int) -> str:
    """Host and port as people write them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
