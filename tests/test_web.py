"""The page's files are served with headers that keep the browser safe and its cache right."""

import gzip
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from automations.web import page_routes


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A page as the build leaves it."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<title>Automations</title>")
    (tmp_path / "playground.html").write_text("<title>Playground</title>")
    (tmp_path / "assets" / "index-1a2b.js").write_text("start()")
    (tmp_path / "assets" / "index-1a2b.js.gz").write_bytes(gzip.compress(b"start()"))
    return tmp_path


async def get(static: Path, path: str, **headers: str) -> httpx.Response:
    """The answer to a GET."""
    transport = httpx.ASGITransport(Starlette(routes=page_routes(static)))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get(path, headers={"accept-encoding": "identity", **headers})


async def test_page_may_load_nothing_from_elsewhere_and_no_inline_script(static: Path) -> None:
    answer = await get(static, "/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


async def test_playground_may_set_styles_inline_and_nothing_else(static: Path) -> None:
    policy = (await get(static, "/playground")).headers["content-security-policy"]
    assert policy.count("unsafe") == 1
    assert "style-src 'self' 'unsafe-inline'" in policy


async def test_assets_are_cached_for_good_and_compressed(static: Path) -> None:
    answer = await get(static, "/assets/index-1a2b.js", **{"accept-encoding": "gzip"})
    assert answer.text == "start()"
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in answer.headers["cache-control"]


async def test_what_the_browser_has_is_not_sent_again(static: Path) -> None:
    etag = (await get(static, "/")).headers["etag"]
    answer = await get(static, "/", **{"if-none-match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("path", ["/assets/no.js", "/assets/..%2findex.html", "/assets/%2e%2e/index.html"])
async def test_other_files_are_not_found(static: Path, path: str) -> None:
    assert (await get(static, path)).status_code == 404


async def test_without_a_built_page_it_is_said_how_to_build_it(tmp_path: Path) -> None:
    answer = await get(tmp_path / "missing", "/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
