"""`python -m tests.sync_client` prints the client without asyncio, which is made of the one for asyncio.

Both have the same methods, and neither is written twice: httpcore does the same.
"""

import re
import sys
from pathlib import Path

CLIENT = Path(__file__).parent.parent / "automations" / "client"
REPLACED = (
    (
        r'"""The client for asyncio.*?"""',
        '"""The client without asyncio. Made of `asynchronous.py` by `make client`: change it there."""',
    ),
    ("import asyncio\n", "import time\n"),
    ("asyncio[.]sleep", "time.sleep"),
    ("AsyncAutomationsClient", "AutomationsClient"),
    ("httpx[.]AsyncClient", "httpx.Client"),
    ("async def", "def"),
    ("await ", ""),
    ("__aenter__", "__enter__"),
    ("__aexit__", "__exit__"),
    ("aclose", "close"),
)


def synchronous() -> str:
    """The module."""
    text = (CLIENT / "asynchronous.py").read_text()
    for pattern, replacement in REPLACED:
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    sys.stdout.write(synchronous())
