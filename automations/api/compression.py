"""Answers in gzip, where the client takes it and the answer is long enough to be worth the time."""

import asyncio
import gzip

LEAST_BYTES = 8_192
"""A shorter answer goes out sooner as it is."""
THREAD_BYTES = 131_072
"""A longer one is packed in a thread: it would hold up the others for milliseconds."""
_LEVEL = 1  # JSON shrinks to a tenth; level 6 makes it a twelfth in four times the time


async def compressed(body: bytes, accept_encoding: str) -> bytes | None:
    """The body in gzip, or None where it stays as it is."""
    if not _takes_gzip(accept_encoding):
        return None
    if len(body) < THREAD_BYTES:
        return gzip.compress(body, _LEVEL, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0)


def _takes_gzip(accept_encoding: str) -> bool:
    for item in accept_encoding.lower().split(","):
        name, _, quality = item.replace(" ", "").partition(";q=")
        if name == "gzip":
            return quality.strip("0.") != "" or quality == ""
    return False
