"""What must never be shown: secrets that tests give to servers carry one mark, and API keys look like no other text.

Every test's output and answers, every server's log, and each database before it is dropped is searched; so are those
that backups were restored to.
"""

import base64
import re
from urllib.parse import unquote_plus

import httpx

from automations.database import DedicatedConnection

CANARY = "c4n4ry0fAllSecrets"
"""Part of secrets in tests."""

_MARK = re.compile(r"c4n4ry|automations_[0-9a-f]{16}_[0-9a-f]{64}", re.IGNORECASE)
_MARK_BYTES = b"c4n4ry"
_SHOWN_BY_DESIGN = (b"secret_value", b"create_api_key")
"""Operations that ask for secrets."""


def reveals(text: str) -> bool:
    """Whether a text shows a secret: as it is, in a URL's escapes, or in Base64."""
    return any(_MARK.search(form) for form in (text, unquote_plus(text), *_decoded(text)))


def _decoded(text: str) -> list[str]:
    found = re.findall(r"[A-Za-z0-9+/_-]{16,}", text)
    return [
        base64.b64decode(part[offset:][: (len(part) - offset) // 4 * 4], altchars=b"-_").decode("latin-1")
        for part in found
        for offset in range(4)
    ]


async def refuse_in_answer(response: httpx.Response) -> None:
    """An event hook of clients: AssertionError where an answer shows a secret that its request did not ask for."""
    if "json" not in response.headers.get("content-type", "") or any(
        name in response.request.content for name in _SHOWN_BY_DESIGN
    ):
        return
    await response.aread()
    assert not reveals(response.text), f"the answer to {response.request.content!r} shows a secret"


async def table_names(connection: DedicatedConnection) -> list[str]:
    """Every table, those of an existing backend among them, quoted where that is needed."""
    rows = await connection.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
        "WHERE schemaname IN ('public', 'automations')"
    )
    return [row["name"] for row in rows]


async def refuse_in_database(connection: DedicatedConnection) -> None:
    """AssertionError where a table shows a secret, as a text or as bytes."""
    tables = await table_names(connection)
    if not tables:
        return
    shows = "SELECT '{0}' AS name WHERE EXISTS (SELECT FROM {0} AS r WHERE CAST(r AS text) ~* $1)"
    found = await connection.fetch(
        " UNION ALL ".join(shows.format(table) for table in tables),
        f"{_MARK.pattern}|{_MARK_BYTES.hex()}",
    )
    assert not found, f"a secret is shown by {', '.join(row['name'] for row in found)}"
