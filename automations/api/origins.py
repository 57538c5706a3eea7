"""Which web pages may use this server from a browser: its own, and those that the settings name.

A POST needs no such look: its body is JSON, which a browser sends for a page elsewhere only after asking (CORS), and
nobody here says yes. A GET and a WebSocket are sent without asking; the browser then says where they come from, in
headers that no page can set. A client that is no browser sends none of them.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from automations.errors import InvalidInput


class ForeignPage(InvalidInput):
    """A page elsewhere made a browser send this."""


def refuse_foreign_page(headers: Mapping[str, str], allowed: frozenset[str]) -> None:
    """ForeignPage unless no browser sent it, or a page that may.

    `Origin` is of RFC 6454, `Sec-Fetch-Site` of https://www.w3.org/TR/fetch-metadata/.
    """
    origin = headers.get("origin")
    if origin is not None and origin.lower() in allowed:
        return
    if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"} or not _is_own(origin, headers):
        raise ForeignPage("A page elsewhere sent this. List its origin in AUTOMATIONS_ALLOWED_ORIGINS if it may.")


def _is_own(origin: str | None, headers: Mapping[str, str]) -> bool:
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
