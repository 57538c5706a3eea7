"""Wrong API keys: how many of them are looked at, and who goes on undisturbed."""

from pathlib import Path

import httpx
import pytest
from starlette.requests import HTTPConnection

from automations.access.callers import client_address
from tests.harness import Automations, GraphQLError, running

HELLO = {"query": "{ hello }"}
ONE = 0.01  # wrong keys a second: one, and no other while a test runs


def wrong_key(number: int) -> str:
    return f"automations_{number:016x}_{'0' * 64}"


async def ask(api: Automations, path: str = "/graphql") -> httpx.Response:
    if path == "/metrics":
        return await api.client.get(f"{api.url}{path}", headers=api.headers)
    return await api.client.post(f"{api.url}{path}", json=HELLO, headers=api.headers)


def code(answer: httpx.Response) -> str:
    return str(answer.json()["errors"][0]["extensions"]["code"])


@pytest.fixture
async def made_key(server: Automations) -> str:
    """A key of an admin of all tenants."""
    made = await server.write("create_api_key", "key", name="k", role="admin", all_tenants=True)
    return str(made["key"])


async def test_many_wrong_keys_are_refused_before_they_are_looked_up(
    server: Automations, made_key: str, database_url: str, tmp_path: Path
) -> None:
    other_key = (await server.write("create_api_key", "key", name="other", role="viewer"))["key"]
    async with running(database_url, tmp_path / "guarded", auth="on", wrong_keys_per_second=ONE) as guarded:
        right = guarded.with_key(made_key)
        assert await right.execute("{ hello }")
        first, last = [await ask(guarded.with_key(wrong_key(number))) for number in range(2)]
        assert (first.status_code, code(first)) == (200, "UNAUTHENTICATED")
        assert (last.status_code, code(last)) == (429, "LIMIT_EXCEEDED")
        assert 0 < int(last.headers["retry-after"]) <= 100
        assert "0.01 wrong API keys a second are allowed" in last.text
        assert (await ask(guarded.with_key(wrong_key(0)), "/metrics")).status_code == 429
        # A key that was right before is taken, one that was never seen waits, and without a key nothing is looked up.
        assert await right.execute("{ hello }")
        assert (await ask(right, "/metrics")).status_code == 200
        assert (await ask(guarded.with_key(other_key))).status_code == 429
        assert code(await ask(guarded)) == "UNAUTHENTICATED"


async def test_revoked_key_is_a_wrong_one(
    server: Automations, made_key: str, database_url: str, tmp_path: Path
) -> None:
    async with running(database_url, tmp_path / "guarded", auth="on", wrong_keys_per_second=ONE) as guarded:
        revoked = guarded.with_key(made_key)
        [row] = (await revoked.execute("{ api_key { id } }"))["api_key"]
        await revoked.write("delete_api_key", "success", key_id=row["id"])
        with pytest.raises(GraphQLError, match="Send a valid API key"):
            await revoked.execute("{ hello }")
        assert (await ask(revoked)).status_code == 429


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_addresses_of_one_network_are_one(host: str, address: str) -> None:
    assert client_address(HTTPConnection({"type": "http", "headers": [], "client": (host, 1)})) == address


def test_socket_of_a_file_has_no_address() -> None:
    assert client_address(HTTPConnection({"type": "http", "headers": [], "client": None})) == ""
