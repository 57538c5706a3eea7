"""API keys in requests: which are taken, how soon one that is revoked is refused, and what their use costs."""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from automations.access import keyring
from automations.access.keyring import TRUST_SECONDS, Keyring
from automations.access.keys import KEY, create_key, delete_key, hash_of
from automations.access.roles import Role
from automations.database import Database, DedicatedConnection
from tests.harness import Automations, GraphQLError, ServerProcess, eventually, running

UNKNOWN = f"automations_{'0' * 16}_{'0' * 64}"
REFUSED = "Send a valid API key: Authorization: Bearer KEY."


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.connect()
    yield database
    await database.disconnect()


@asynccontextmanager
async def listening(database: Database) -> AsyncIterator[Keyring]:
    """A keyring that hears of changes."""
    ring = Keyring(database)
    changes = ring._changes
    task = asyncio.create_task(ring.run())

    async def listens() -> bool:
        return ring._changes > changes

    await eventually(listens)
    yield ring
    ring.stop()
    await task


async def new_key(connection: DedicatedConnection, tenant_id: UUID, **more: Any) -> Any:
    """A key, with its text."""
    return await create_key(connection, tenant_id, **{"name": "key", "role": Role.VIEWER, **more})


async def refusal(api: Automations, headers: dict[str, str], accept: str = "application/json") -> tuple[int, Any, Any]:
    """Status, WWW-Authenticate and body of the answer."""
    response = await api.client.post(
        f"{api.url}/graphql", json={"query": "{ hello }"}, headers={"accept": accept, **headers}
    )
    return response.status_code, response.headers.get("www-authenticate"), orjson.loads(response.content)


async def test_key_has_a_prefix_and_256_random_bits(connection: DedicatedConnection, tenant_id: UUID) -> None:
    keys = [await new_key(connection, tenant_id, name=f"key {number}") for number in range(50)]
    assert all(re.fullmatch(r"automations_[0-9a-f]{16}_[0-9a-f]{64}", key.text) for key in keys)
    assert len({key.text[-64:] for key in keys}) == 50
    assert keys[0].text not in repr(keys[0])
    [row] = await connection.fetch("SELECT * FROM automations.api_key WHERE id = $1", keys[0].id)
    assert row["hash"] == hash_of(keys[0].text)
    assert keys[0].text[-64:] not in str(dict(row))
    assert row["beginning"] == KEY.fullmatch(keys[0].text)[1]  # type: ignore[index]


async def test_wrong_keys_are_all_refused_in_the_same_words(
    guarded: Automations, guarded_server: Automations, shared_url: str
) -> None:
    made = [await guarded.write("create_api_key", "id key", name=name, role="viewer") for name in ("gone", "expired")]
    await guarded.write("delete_api_key", "success", key_id=made[0]["id"])
    connection = await Database(shared_url).dedicated()
    await connection.execute("UPDATE automations.api_key SET expires_at = now() WHERE id = $1", UUID(made[1]["id"]))
    await connection.close()
    own = guarded.headers["Authorization"]
    last = "0" if own[-1] != "0" else "1"
    wrong = [
        None, "", "Bearer", "Bearer x", "Basic dXNlcjpwYXNz", f"Bearer {UNKNOWN}", own[:-1] + last,
        own[:-1], own + "0", own.removeprefix("Bearer "), f"Token {own[7:]}", own[:-64] + "0" * 64, own.upper(),
        f"Bearer {made[0]['key']}", f"Bearer {made[1]['key']}", f"Bearer {own[7:35]}", "Bearer " + "é" * 10,
    ]  # fmt: skip
    for accept, status in (("application/json", 200), ("application/graphql-response+json", 401)):
        answers = [
            await refusal(guarded, {} if text is None else {"authorization": text.encode("latin-1")}, accept)  # type: ignore[dict-item]
            for text in wrong
        ]
        error = {"message": REFUSED, "extensions": {"code": "UNAUTHENTICATED"}}
        assert answers == [(status, "Bearer", {"errors": [error]})] * len(wrong)
    assert await guarded.execute("{ hello }")


@settings(max_examples=100, suppress_health_check=list(HealthCheck), database=None)
@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=200)
    | st.from_regex(KEY, fullmatch=True).map(lambda key: f"Bearer {key}")
)
async def test_whatever_is_no_key_is_refused(guarded_server: Automations, text: str) -> None:
    answer = await refusal(guarded_server, {"authorization": text.strip().encode("latin-1")})  # type: ignore[dict-item]
    assert answer == (200, "Bearer", {"errors": [{"message": REFUSED, "extensions": {"code": "UNAUTHENTICATED"}}]})


async def test_scheme_is_compared_without_case(guarded: Automations) -> None:
    key = guarded.headers["Authorization"].removeprefix("Bearer ")
    for text in (f"bearer {key}", f"BEARER  {key}"):
        assert await Automations(guarded.url, guarded.client, {"authorization": text}).execute("{ hello }")


async def test_body_of_a_stranger_is_not_read(guarded: Automations) -> None:
    response = await guarded.client.post(f"{guarded.url}/graphql", content=b"x", headers={"content-type": "text/plain"})
    assert orjson.loads(response.content)["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_hashes_are_compared_in_constant_time_even_where_there_is_no_key(
    database: Database, connection: DedicatedConnection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare_digest = hmac.compare_digest

    def compare(ours: bytes, theirs: bytes) -> bool:
        compared.append((ours, theirs))
        return compare_digest(ours, theirs)

    monkeypatch.setattr("automations.access.keyring.hmac.compare_digest", compare)
    made = await new_key(connection, tenant_id)
    ring = Keyring(database)
    assert await ring.verified(made.text)
    for wrong in (UNKNOWN, "x", made.text[:-1] + ("0" if made.text[-1] != "0" else "1")):
        assert await ring.verified(wrong) is None
    assert len(compared) == 4
    assert all(len(ours) == len(theirs) == 32 for ours, theirs in compared)


async def test_key_that_expires_is_refused_from_then_on(
    database: Database, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    made = await new_key(connection, tenant_id, expires_at=datetime.now(UTC) + timedelta(seconds=0.3))
    ring = Keyring(database)
    assert await ring.verified(made.text)
    await asyncio.sleep(0.35)
    assert await ring.verified(made.text) is None  # although it is known, and was read less than a second ago


async def test_keyring_asks_the_database_once_a_second(
    database: Database, connection: DedicatedConnection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await new_key(connection, tenant_id)
    ring = Keyring(database)
    first = await ring.verified(made.text)
    assert first is not None
    monkeypatch.setattr(ring, "_database", None)  # it could not ask
    for _ in range(100):
        found = await ring.verified(made.text)
        assert found is not None
        assert found.id == made.id


async def test_requests_that_come_together_read_a_key_once(
    database: Database, connection: DedicatedConnection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await new_key(connection, tenant_id)
    ring = Keyring(database)
    read, reads = keyring.queries.find_key, 0

    async def find_key(*arguments: Any, **more: Any) -> Any:
        nonlocal reads
        reads += 1
        return await read(*arguments, **more)

    monkeypatch.setattr(keyring.queries, "find_key", find_key)
    found = await asyncio.gather(*(ring.verified(made.text) for _ in range(50)))
    assert all(found)
    assert reads == 1
    assert not ring._readings


async def test_request_that_gives_up_leaves_the_others_their_answer(
    database: Database, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    made = await new_key(connection, tenant_id)
    ring = Keyring(database)
    requests = [asyncio.create_task(ring.verified(made.text)) for _ in range(3)]
    await asyncio.sleep(0)
    requests[0].cancel()
    assert await requests[1]
    assert await requests[2]
    assert requests[0].cancelled()


async def test_lost_database_is_no_wrong_key(guarded: Automations, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients ask again at 503; at UNAUTHENTICATED they give up."""

    @asynccontextmanager
    async def lost(_: Database) -> AsyncIterator[Any]:
        raise ConnectionRefusedError
        yield

    monkeypatch.setattr(Database, "connection", lost)
    status, _, answer = await refusal(guarded, {"authorization": f"Bearer {UNKNOWN}"})
    assert (status, answer["errors"][0]["extensions"]["code"]) == (503, "INTERNAL_SERVER_ERROR")


async def test_revoked_key_is_refused_once_the_database_has_told(
    database: Database, connection: DedicatedConnection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "TRUST_SECONDS", 3600)
    made = await new_key(connection, tenant_id)
    async with listening(database) as ring:
        assert await ring.verified(made.text)
        await delete_key(connection, tenant_id, made.id, by_all_tenants=False)

        async def is_refused() -> bool:
            return await ring.verified(made.text) is None

        await eventually(is_refused, 5)


async def test_revoked_key_is_refused_within_a_second_though_nobody_tells(
    database: Database, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    made = await new_key(connection, tenant_id)
    ring = Keyring(database)  # nobody runs it: it hears nothing
    assert await ring.verified(made.text)
    await delete_key(connection, tenant_id, made.id, by_all_tenants=False)
    await asyncio.sleep(TRUST_SECONDS)
    assert await ring.verified(made.text) is None


async def test_what_was_read_before_a_change_is_not_kept(
    database: Database, connection: DedicatedConnection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await new_key(connection, tenant_id)
    ring = Keyring(database)
    read = keyring.queries.find_key

    async def find_key(*arguments: Any, **more: Any) -> Any:
        row = await read(*arguments, **more)
        await delete_key(connection, tenant_id, made.id, by_all_tenants=False)
        ring.forget()
        return row

    with monkeypatch.context() as patched:
        patched.setattr(keyring.queries, "find_key", find_key)
        assert await ring._key(made.text.rpartition("_")[0]) is not None
    assert await ring.verified(made.text) is None


async def test_lost_connection_is_listened_on_again(
    database: Database, connection: DedicatedConnection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyring, "TRUST_SECONDS", 3600)
    made = await new_key(connection, tenant_id)
    async with listening(database) as ring:
        assert await ring.verified(made.text)
        changes = ring._changes
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE '%LISTEN%' AND pid <> pg_backend_pid()"
        )

        async def listens_again() -> bool:
            return ring._changes > changes

        await eventually(listens_again)
        await delete_key(connection, tenant_id, made.id, by_all_tenants=False)

        async def is_refused() -> bool:
            return await ring.verified(made.text) is None

        await eventually(is_refused, 5)


async def test_use_is_noted_once_a_minute(
    database: Database, connection: DedicatedConnection, tenant_id: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await new_key(connection, tenant_id)
    rings = [Keyring(database), Keyring(database)]
    versions = "SELECT xmin::text || ctid::text FROM automations.api_key"
    before = await connection.fetchval(versions)
    for ring in rings:
        await asyncio.gather(*(ring.verified(made.text) for _ in range(5)))
    first = await connection.fetchrow("SELECT last_used_at, xmin::text || ctid::text AS v FROM automations.api_key")
    assert first is not None
    assert first["v"] != before
    assert datetime.now(UTC) - first["last_used_at"] < timedelta(seconds=10)
    for ring in rings:
        ring.forget()
        await ring.verified(made.text)
    assert await connection.fetchval(versions) == first["v"]
    await connection.execute("UPDATE automations.api_key SET last_used_at = now() - interval '61 seconds'")
    rings[0].forget()
    await rings[0].verified(made.text)
    assert await connection.fetchval("SELECT last_used_at FROM automations.api_key") >= first["last_used_at"]


async def test_wrong_secret_is_no_use_of_the_key(
    database: Database, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    made = await new_key(connection, tenant_id)
    await Keyring(database).verified(made.text[:-64] + "0" * 64)
    assert await connection.fetchval("SELECT last_used_at FROM automations.api_key") is None


async def test_key_revoked_in_one_process_is_refused_in_another(
    tmp_path: Path, database_url: str, connection: DedicatedConnection, tenant_id: UUID
) -> None:
    admin = await new_key(connection, tenant_id, name="admin", role=Role.ADMIN)
    other = await new_key(connection, tenant_id, name="other")
    process = await ServerProcess.start(tmp_path, database_url, auth="on")
    async with process.client() as client, running(database_url, tmp_path, auth="on") as here:
        there = client.with_key(other.text)
        assert await there.execute("{ hello }")
        await here.with_key(admin.text).write("delete_api_key", "success", key_id=str(other.id))
        with pytest.raises(GraphQLError, match="Send a valid API key"):
            await here.with_key(other.text).execute("{ hello }")

        async def is_refused() -> bool:
            try:
                await there.execute("{ hello }")
            except GraphQLError as error:
                return bool(error.code == "UNAUTHENTICATED")
            return False

        await eventually(is_refused, TRUST_SECONDS + 1)
    assert await process.stop() == 0
    # Nothing that was logged or kept shows a key.
    log = "".join(process.log)
    tables = await connection.fetch(
        "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables"
        " WHERE table_schema IN ('public', 'automations') AND table_type = 'BASE TABLE'"
    )
    kept = ""
    for table in tables:
        rows = await connection.fetch(f"SELECT t::text AS row FROM {table['name']} t")
        kept += "".join(row["row"] for row in rows)
    assert "admin" in kept
    for made in (admin, other):
        assert made.text[-64:] not in log + kept
