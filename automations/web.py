"""Serves the page and the GraphQL playground, which `make ui` builds into `static/`.

Nothing here knows of data: the page speaks the public GraphQL API. Without a built page the server works all the same.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

STATIC = Path(__file__).parent / "static"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
}
_CLOSED = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
_PAGE_POLICY = f"{_CLOSED}; require-trusted-types-for 'script'; trusted-types 'none'"
# GraphiQL's editor sets styles inline, and draws with images as data.
_PLAYGROUND_POLICY = f"{_CLOSED}; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_UNBUILT = """The page has not been built.

Say `make ui` in a checkout and start the server again; it takes Node from PATH or from PyPI.
The GraphQL API works without it: POST /graphql
"""
_NO_PLAYGROUND = "The playground needs the schema, which nobody may ask for here (AUTOMATIONS_INTROSPECTION=off).\n"


@dataclass(frozen=True)
class _File:
    content: bytes
    gzipped: bytes | None
    etag: str
    headers: Mapping[str, str]


def page_routes(static: Path = STATIC, *, has_playground: bool = True) -> list[Route]:
    """GET / (the page), GET /playground, and the files that both load."""
    files = {path.relative_to(static).as_posix(): _read(path, static) for path in _paths(static)}

    async def page(request: Request) -> Response:
        return _answer(request, files.get("index.html"))

    async def playground(request: Request) -> Response:
        if not has_playground:
            return PlainTextResponse(_NO_PLAYGROUND, 404)
        return _answer(request, files.get("playground.html"))

    async def asset(request: Request) -> Response:
        found = files.get(f"assets/{request.path_params['name']}")
        return _answer(request, found) if found else PlainTextResponse("Not found\n", 404)

    async def licenses(request: Request) -> Response:
        return _answer(request, files.get("licenses.md"))

    return [
        Route("/", page, methods=["GET"]),
        Route("/playground", playground, methods=["GET"]),
        Route("/licenses", licenses, methods=["GET"]),
        Route("/assets/{name}", asset, methods=["GET"]),
    ]


def _paths(static: Path) -> list[Path]:
    return [path for path in static.rglob("*") if path.suffix in _TYPES] if static.is_dir() else []


def _read(path: Path, static: Path) -> _File:
    content = path.read_bytes()
    gzipped = path.with_name(f"{path.name}.gz")
    immutable = path.parent != static  # the name of an asset has a hash of its content
    headers = {
        **_HEADERS,
        "content-type": _TYPES[path.suffix],
        "content-security-policy": _PLAYGROUND_POLICY if path.name == "playground.html" else _PAGE_POLICY,
        "cache-control": "public, max-age=31536000, immutable" if immutable else "no-cache",
        "vary": "accept-encoding",
    }
    return _File(
        content=content,
        gzipped=gzipped.read_bytes() if gzipped.is_file() else None,
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        headers=headers,
    )


def _answer(request: Request, file: _File | None) -> Response:
    if file is None:
        return PlainTextResponse(_UNBUILT, 503, headers={"cache-control": "no-store"})
    gzipped = file.gzipped if "gzip" in request.headers.get("accept-encoding", "") else None
    etag = file.etag if gzipped is None else f'{file.etag[:-1]}-gzip"'
    headers = {**file.headers, "etag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if gzipped is not None:
        headers["content-encoding"] = "gzip"
    return Response(file.content if gzipped is None else gzipped, headers=headers)
