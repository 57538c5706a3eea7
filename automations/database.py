"""PostgreSQL: the pools, transactions, connections of the loops, and the statements in sql/queries/.

The only module that opens connections. API requests go through `databases`, which owns the pools and the
transactions; statements run on the asyncpg connection below it, where they cost a third as much.
"""

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Any, TypeAlias, cast
from uuid import uuid4

import aiosql
import asyncpg
from aiosql.adapters.asyncpg import AsyncPGAdapter
from asyncpg.pool import PoolConnectionProxy
from databases import Database as Pool

from automations.metrics import CONNECTIONS
from automations.resources import resource
from automations.settings import SettingsError
from automations.tracing import NO_TRACER, Tracer

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
DedicatedConnection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Record = asyncpg.Record
DatabaseError = asyncpg.PostgresError
UniqueViolation = asyncpg.UniqueViolationError
ForeignKeyViolation = asyncpg.ForeignKeyViolationError
LockTimeout = asyncpg.LockNotAvailableError
DataError = asyncpg.DataError | asyncpg.exceptions.DataError
LimitError = asyncpg.ProgramLimitExceededError | asyncpg.QueryCanceledError | TimeoutError
CLIENT_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""Whatever may come of connecting to a server that is not as it should be."""

_CONNECTION_LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TargetServerAttributeNotMatched,
    asyncpg.ReadOnlySQLTransactionError,  # the server was the primary once
)
# asyncpg has one class for a connection that is gone, a value that it cannot encode and a call that is a bug of ours.
_CLOSED = ("connection is closed", "pool is closed", "pool is closing")
# And one for a call on a connection whose server has just said goodbye: it is in state 2 then, and failed after it.
_FAREWELL = ("another operation (2) is in progress", 'protocol is in the "failed" state')

_SERVER_SETTINGS = {"application_name": "automations", "timezone": "UTC"}

HOST_SECONDS = 3.0
"""Longest that one of several hosts may take to let us in."""
READING_SECONDS = 20  # of a statement that a caller's filters make
STATEMENT_SECONDS = 30  # of any other request's


async def _keep(_connection: Connection) -> None:
    """What requests set ends with their transaction: resetting the session would cost a round trip each time."""


def is_connection_lost(error: BaseException) -> bool:
    """Whether the server or the connection to it went away, so that the same may work on another one."""
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError) and any(text in str(error) for text in _CLOSED)
    if isinstance(error, asyncpg.InternalClientError):
        return any(text in str(error) for text in _FAREWELL)
    return isinstance(error, _CONNECTION_LOST)


class _Adapter(AsyncPGAdapter):
    """aiosql's own looks on every call whether it was given a pool; that costs more than a small query."""

    async def select(
        self, conn: Connection, query_name: str, sql: str, parameters: Any, _record_class: Any = None
    ) -> AsyncIterator[Record]:
        for row in await conn.fetch(sql, *self._values(query_name, parameters)):
            yield row

    async def select_one(
        self, conn: Connection, query_name: str, sql: str, parameters: Any, _record_class: Any = None
    ) -> Record | None:
        return await conn.fetchrow(sql, *self._values(query_name, parameters))

    async def select_value(self, conn: Connection, query_name: str, sql: str, parameters: Any) -> Any:
        return await conn.fetchval(sql, *self._values(query_name, parameters))

    async def insert_update_delete(self, conn: Connection, query_name: str, sql: str, parameters: Any) -> str:
        return await conn.execute(sql, *self._values(query_name, parameters))

    def _values(self, query_name: str, parameters: Any) -> Sequence[Any]:
        return self.maybe_order_params(query_name, parameters)  # type: ignore[no-untyped-call, no-any-return]


def load_queries(noun: str) -> Any:
    """The named statements of sql/queries/<noun>.sql as async functions that take a connection first."""
    adapter: Callable[..., Any] = _Adapter
    return aiosql.from_path(resource("sql") / "queries" / f"{noun}.sql", adapter, mandatory_parameters=False)


_queries = load_queries("session")

# Our own statements go by keys, whatever the values are: planning one for its values takes longer than running it.
_PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}


class Database:
    """Pools for requests and single connections for the loops, all on one URL (multi-host URLs included).

    What only reads may go to another one, a standby's. Requests may go to `pooled_url`, to a PgBouncer that pools by
    transaction; loops and locks need sessions, which are to be had of `url` only.
    """

    def __init__(
        self,
        url: str,
        *,
        reading_url: str | None = None,
        pooled_url: str | None = None,
        pool_size: int = 10,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._url, self._tracer = url, tracer
        self._pooler = None if pooled_url is None else _Pooler(pooled_url)
        self._reading_pooler = self._pooler if reading_url is None else None
        self._pool = _pool(url, pool_size, STATEMENT_SECONDS, _PLANNED_ONCE, self._pooler)
        self._reading_pool = _pool(reading_url or url, pool_size, READING_SECONDS, {}, self._reading_pooler)

    async def connect(self) -> None:
        if self._pooler is not None:
            await self._pooler.look()
        await self._pool.connect()
        await self._reading_pool.connect()

    async def disconnect(self) -> None:
        await self._reading_pool.disconnect()
        await self._pool.disconnect()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection for single statements of sql/queries/, each its own transaction."""
        with CONNECTIONS.track_inprogress():
            async with self._pool.connection() as pooled:
                with _given_up_when_dead(pooled.raw_connection):
                    yield _statement_by_statement(pooled.raw_connection, self._pooler)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A pooled connection for statements that a caller's filters and orders make, planned for their values."""
        with CONNECTIONS.track_inprogress():
            async with self._reading_pool.connection() as pooled:
                with _given_up_when_dead(pooled.raw_connection):
                    yield _statement_by_statement(pooled.raw_connection, self._reading_pooler)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A pooled connection inside a transaction: all or nothing. What it changes belongs to the trace under way."""
        with CONNECTIONS.track_inprogress():
            async with self._pool.connection() as pooled:
                with _given_up_when_dead(pooled.raw_connection):  # the commit too
                    async with pooled.transaction():
                        with _given_up_when_dead(pooled.raw_connection):  # before the rollback
                            if traceparent := self._tracer.traceparent():
                                await _queries.set_traceparent(pooled.raw_connection, traceparent=traceparent)
                            yield pooled.raw_connection

    def changing_states(self, *, together: bool = False) -> AbstractAsyncContextManager[Connection]:
        """A pooled connection for a statement that changes states of runs.

        A transaction where it goes `together` with others, or belongs to a trace.
        """
        return self.transaction() if together or self._tracer.traceparent() else self.connection()

    async def dedicated(self, *, statement_seconds: float = 60) -> DedicatedConnection:
        """A connection outside the pool, for a loop or a command that keeps it; the caller closes it."""
        try:
            return await _connect(self._url, command_timeout=statement_seconds)
        except ValueError:  # its text may hold a piece of the URL, and that a piece of the password
            raise SettingsError("AUTOMATIONS_DATABASE_URL: is not the URL of a PostgreSQL database") from None


class _Pooler:
    """A PgBouncer that pools by transaction: what is set or prepared for a session would be another client's next.

    So nothing is set for sessions; statements are limited by the client alone. From 1.21 on PgBouncer prepares
    statements wherever they are run, where `max_prepared_statements` lets it.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.keeps_statements = False

    async def look(self) -> None:
        """Find out whether it keeps prepared statements: it gives them names of its own then."""
        name = f"automations_{uuid4().hex}"
        connection = await self.connect()
        try:
            async with connection.transaction():
                statement = await connection.prepare(_queries.is_prepared.sql, name=name)
                self.keeps_statements = not await statement.fetchval(name)
                if not self.keeps_statements:
                    await _queries.forget_prepared(connection)
        finally:
            connection.terminate()

    async def connect(self, **options: Any) -> DedicatedConnection:
        """A connection for single statements and transactions."""
        if not self.keeps_statements:
            options["statement_cache_size"] = 0
        return await _first_that_will_do(self._url, server_settings=_SERVER_SETTINGS, **options)


class _StatementByStatement:
    """Each statement in a transaction of its own.

    asyncpg prepares what has arguments and then runs it: only in a transaction do both come to the same server.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def fetch(self, *call: Any, **options: Any) -> list[Record]:
        async with self._connection.transaction():
            return await self._connection.fetch(*call, **options)

    async def fetchrow(self, *call: Any, **options: Any) -> Any:
        async with self._connection.transaction():
            return await self._connection.fetchrow(*call, **options)

    async def fetchval(self, *call: Any, **options: Any) -> Any:
        async with self._connection.transaction():
            return await self._connection.fetchval(*call, **options)

    async def execute(self, *call: Any, **options: Any) -> str:
        async with self._connection.transaction():
            return await self._connection.execute(*call, **options)


def _statement_by_statement(connection: Connection, pooler: _Pooler | None) -> Connection:
    if pooler is None or pooler.keeps_statements:
        return connection
    return cast("Connection", _StatementByStatement(connection))


async def shares_sessions(url: str) -> bool:
    """Whether a pooler gave two clients the same session, one after the other."""
    async with AsyncExitStack() as stack:
        sessions = []
        for _ in range(2):
            connection = await _first_that_will_do(url, server_settings=_SERVER_SETTINGS, statement_cache_size=0)
            stack.callback(connection.terminate)
            async with connection.transaction():
                sessions.append(await _queries.session(connection))
    first, second = sessions
    return bool(first == second)


async def _connect(url: str, *, settings: Mapping[str, str] | None = None, **options: Any) -> DedicatedConnection:
    """A connection for our statements, with these settings of PostgreSQL besides."""
    settings = {"jit": "off", **(settings or {})}
    connection = await _first_that_will_do(url, server_settings=_SERVER_SETTINGS, **options)
    try:
        await _queries.set_up(connection, names=list(settings), values=list(settings.values()))
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _first_that_will_do(url: str, **options: Any) -> DedicatedConnection:
    """Connect to one of the hosts of the URL.

    asyncpg has one limit for all of them together, so that one that says nothing would keep it from the others.
    """
    *earlier, last = _one_for_each_host(url)
    if earlier:
        options["timeout"] = HOST_SECONDS
    for each in earlier:
        with suppress(*_CONNECTION_LOST):
            return await asyncpg.connect(each, **options)
    return await asyncpg.connect(last, **options)


def _one_for_each_host(url: str) -> list[str]:
    """`a://user@b,c/d` as `a://user@b/d` and `a://user@c/d`; a preference needs all of them together."""
    if "prefer-standby" in url:
        return [url]
    scheme, separator, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    user, at, hosts = authority.rpartition("@")
    return [f"{scheme}{separator}{user}{at}{host}{rest[len(authority) :]}" for host in hosts.split(",")]


@contextmanager
def _given_up_when_dead(connection: Connection) -> Iterator[None]:
    """Drop the connection where its server hangs (it ends slow statements itself) or cannot be written to any more.

    Otherwise it would stay in the pool: asyncpg asks the server to cancel the statement, and waits for it to hang up.
    """
    try:
        yield
    except (TimeoutError, asyncpg.ReadOnlySQLTransactionError):
        connection.terminate()
        raise


def _pool(url: str, size: int, seconds: int, settings: Mapping[str, str], pooler: _Pooler | None) -> Pool:
    async def connect(_dsn: str, **options: Any) -> DedicatedConnection:
        if pooler is not None:
            return await pooler.connect(**options)
        return await _connect(url, settings={"statement_timeout": f"{seconds * 1000}", **settings}, **options)

    # `databases` reads hosts itself and knows one host only: asyncpg gets the whole URL in its place.
    return Pool(
        "postgresql://",
        dsn=url,
        connect=connect,
        database=None,
        min_size=1,
        max_size=size,
        command_timeout=seconds + 5,
        reset=_keep,
    )
