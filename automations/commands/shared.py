"""What commands share: the database, the keys of secrets, and how they are interrupted."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from automations.attachment import Backend, find_backend
from automations.database import CLIENT_ERRORS, Database, DedicatedConnection, shares_sessions
from automations.migrations import Migration, MigrationError, migrate
from automations.postgres import EmbeddedPostgres
from automations.settings import Settings, SettingsError
from automations.vault import Vault


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The URL from the settings, or that of the embedded server, which runs meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url
        return
    embedded = EmbeddedPostgres.attach(settings.data_dir)
    try:
        with embedded.kept_alive():
            yield embedded.url
    finally:
        embedded.release()


ACTOR = "command line"
"""Who did it, as the audit names those who have the database."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[DedicatedConnection]:
    """A connection to a database, which ends at once where something goes wrong.

    Closing it in order would wait for the statement under way: at a signal, for somebody's lock.
    """
    connection = await Database(url).dedicated()
    try:
        yield connection
    except BaseException:
        connection.terminate()
        raise
    await connection.close()


def bring_up_to_date(url: str) -> tuple[list[Migration], Backend]:
    """Migrate a database: what was applied, and whose its watched tables are."""

    async def run() -> tuple[list[Migration], Backend]:
        async with connected(url) as connection:
            if await shares_sessions(url):
                raise SettingsError(
                    "AUTOMATIONS_DATABASE_URL: a pooler gives several clients the same session there, and "
                    "notifications and locks need their own. Name PostgreSQL itself, and the pooler in "
                    "AUTOMATIONS_POOLED_DATABASE_URL."
                )
            return await migrate(connection), await find_backend(connection)

    try:
        return asyncio.run(run())
    except CLIENT_ERRORS as error:
        what = str(error) or type(error).__name__
        raise MigrationError(f"The database of AUTOMATIONS_DATABASE_URL cannot be used: {what}") from None


def check_url(setting: str, url: str) -> None:
    """See that the database from which requests are to read, or by way of which they go, lets us in."""

    async def run() -> None:
        async with connected(url):
            pass

    try:
        asyncio.run(run())
    except SettingsError:
        raise SettingsError(f"{setting}: is not the URL of a PostgreSQL database") from None
    except CLIENT_ERRORS as error:
        what = str(error) or type(error).__name__
        raise SettingsError(f"{setting}: that database cannot be used: {what}") from None


def load_vault(settings: Settings) -> Vault:
    """The keys of secrets; the key file is made if there is none."""
    try:
        return Vault.load(settings.secret_keys, settings.data_dir)
    except ValueError as error:
        raise SettingsError(str(error)) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM unwind what was begun, an embedded PostgreSQL above all, as Ctrl-C does.

    While the server runs, it has handlers of its own. asyncio ends what it runs in order at an interrupt only.
    """
    came: list[int] = []

    def interrupt(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        signal.raise_signal(signal.SIGINT)

    earlier = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(128 + (came[0] if came else signal.SIGINT)) from None
    finally:
        signal.signal(signal.SIGTERM, earlier)
