"""A receiver inside this process, to try actions against: it answers with what it was sent, and nothing goes anywhere.

`.invalid` never exists as a domain (RFC 6761, section 6.4): nobody's server is hidden by this name.
"""

from typing import Final

import orjson

ECHO_HOST: Final = "echo.invalid"


def echoed(content: bytes) -> bytes:
    """The JSON answer to a body, which stands in it as JSON where it is JSON and as text elsewhere."""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        body = content.decode(errors="replace")
    return orjson.dumps({"received": body})
