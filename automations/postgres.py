"""One embedded PostgreSQL, shared by all processes that name the same data folder; the last one out stops it.

Two lock files (flock: the kernel frees them at `kill -9`) hold what is true. `users.lock`: shared by every process that
uses the server, exclusive while the last one out stops it. `server.lock`: exclusive for the process that starts the
server and then inherited by PostgreSQL and its children, so that it is free exactly when none of them lives.
"""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil
import structlog

from automations.postgres_install import (
    MAJOR_VERSION,
    OWN_SERVER,
    SOCKET_NAME,
    Account,
    PostgresUnavailable,
    create_private,
    find_binaries,
    locate_socket_folder,
    run,
    server_account,
    settle_home,
    user_name,
)

if sys.platform != "win32":
    import fcntl

log = structlog.get_logger(__name__)

__all__ = ["EmbeddedPostgres", "PostgresUnavailable"]

NAME = "automations"
"""Of the database and of its owner, the only role."""

CARE_SECONDS = 1.0
"""Between two looks at whether the server lives."""
START_SECONDS = 60.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.005
LOG_BYTES = 4 * 1024 * 1024
LOG_LINES = 15

# The rest are PostgreSQL's defaults, full durability and checksums among them; ALTER SYSTEM wins over this file.
# `wal_compression = lz4` would keep this build from starting.
SETTINGS = """\
listen_addresses = ''
unix_socket_permissions = 0700
cluster_name = 'automations'
max_connections = 500
shared_buffers = 128MB
max_wal_size = 1GB
synchronous_commit = on
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] '
log_min_messages = log  # ranks above ERROR: a failed statement is its client's to report
log_checkpoints = off
"""


class EmbeddedPostgres:
    """This process's share in the server of one data folder. Blocking: call from asyncio with `asyncio.to_thread`."""

    url: str
    """A libpq URL whose host is the socket folder; `asyncpg` takes it as a dsn."""

    def __init__(self, server: "_Server", users: int) -> None:
        self.url = f"postgresql://{NAME}@/{NAME}?host={quote(str(server.socket_folder))}&port=5432"
        self._server = server
        self._users: int | None = users
        self._process = os.getpid()

    @classmethod
    def attach(cls, data_dir: Path) -> "EmbeddedPostgres":
        """Use the server of `data_dir`: create, start or join it, whatever is needed. Joining takes milliseconds.

        Everything is below `data_dir/postgres`; as root that is a link if the server's account cannot reach it.

        Raises:
            PostgresUnavailable: no binaries, unusable folder, another version, disk full, no start in `START_SECONDS`.
        """
        if sys.platform == "win32":
            raise PostgresUnavailable("there is no embedded PostgreSQL on Windows: set AUTOMATIONS_DATABASE_URL")
        try:
            server = _Server(settle_home(data_dir))
            users = _open(server.home / "users.lock")
            try:
                _share(users)
                server.ensure_running()
            except BaseException:
                os.close(users)
                raise
        except OSError as error:
            raise PostgresUnavailable(
                f"the data folder {data_dir} cannot be used: {error}. Make it writable, use another, {OWN_SERVER}"
            ) from error
        return cls(server, users)

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Meanwhile, start the server again should it die (killed for memory, say), from a thread."""
        ended = threading.Event()

        def care() -> None:
            while not ended.wait(CARE_SECONDS):
                try:
                    if self._server.is_gone():
                        log.error("the embedded PostgreSQL died, starting it again")
                        self._server.ensure_running()
                except (OSError, PostgresUnavailable) as error:
                    log.error("the embedded PostgreSQL cannot be started again", error=str(error))  # noqa: TRY400

        carer = threading.Thread(target=care, name="postgres-care", daemon=True)
        carer.start()
        try:
            yield
        finally:
            ended.set()
            carer.join()

    def release(self) -> None:
        """Give up this share; without any other, stop the server. Committed data is on disk in any case."""
        users, self._users = self._users, None
        if users is None:
            return
        try:
            # A forked child shares its parent's lock, so it would always find itself the last. The upgrade gives up the
            # shared lock first: of those who leave together one succeeds, an attach that slips in makes it fail, and
            # nobody attaches until the stop is over.
            if os.getpid() == self._process and _try_lock(users, fcntl.LOCK_EX):
                self._server.stop()
        except FileNotFoundError:
            pass  # the data folder was deleted; PostgreSQL notices and stops by itself
        finally:
            os.close(users)


class _Server:
    """The cluster in one home folder."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.data = home / "data"
        self.pid_file = self.data / "postmaster.pid"
        self.log = home / "server.log"
        self.socket_folder = locate_socket_folder(home)

    def ensure_running(self) -> None:
        self._check_version()
        self._bound_log()
        launched = False
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            with _opened(self.home / "server.lock") as lock:
                if _try_lock(lock, fcntl.LOCK_EX):
                    if launched:
                        raise _failure("PostgreSQL stopped right after its start", self._read_log())
                    self._launch(lock)
                    launched = True
                    deadline = time.monotonic() + START_SECONDS
            if time.monotonic() > deadline:
                raise _failure(
                    f"PostgreSQL is not ready after {START_SECONDS:.0f} seconds, try again", self._read_log()
                )
            time.sleep(POLL_SECONDS)
        if self.socket_folder.lstat().st_uid != self.data.stat().st_uid:
            raise PostgresUnavailable(f"{self.socket_folder} belongs to another user: remove it, {OWN_SERVER}")

    def is_gone(self) -> bool:
        """Whether no process of the server lives, and nobody starts it at the moment."""
        with _opened(self.home / "server.lock") as lock:
            return _try_lock(lock, fcntl.LOCK_EX)

    def stop(self) -> None:
        """Fast shutdown: sessions end, a checkpoint is written. One slower than `STOP_SECONDS` is left to finish."""
        signalled = False
        deadline = time.monotonic() + STOP_SECONDS
        with _opened(self.home / "server.lock") as lock:
            while not _try_lock(lock, fcntl.LOCK_EX) and time.monotonic() < deadline:
                postmaster = None if signalled else self._find_postmaster()
                if postmaster:
                    with suppress(psutil.NoSuchProcess):
                        postmaster.send_signal(signal.SIGINT)
                    signalled = True
                time.sleep(POLL_SECONDS)

    def _check_version(self) -> None:
        with suppress(FileNotFoundError):
            found = (self.data / "PG_VERSION").read_text().strip()
            if found != str(MAJOR_VERSION):
                raise PostgresUnavailable(
                    f"{self.data} was made by PostgreSQL {found}, this is PostgreSQL {MAJOR_VERSION}: "
                    f"dump it with the old version and restore it into a new data folder, {OWN_SERVER}"
                )

    def _bound_log(self) -> None:
        with suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_BYTES:
                os.truncate(self.log, 0)  # a running server appends, so it goes on at the new end

    def _read_log(self) -> str:
        with suppress(FileNotFoundError):
            return self.log.read_text(errors="replace")
        return ""

    def _is_ready(self) -> bool:
        """The pid file tells ready from starting and stopping; the connection tells that the file is not a relic."""
        try:
            if self._read_pid_file()[7].strip() != "ready":
                return False
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1)
                probe.connect(str(self.socket_folder / SOCKET_NAME))
        except (IndexError, FileNotFoundError, ConnectionError, TimeoutError, BlockingIOError):
            return False
        return True

    def _find_postmaster(self) -> psutil.Process | None:
        """The process in the pid file, unless its number went to somebody else since."""
        try:
            pid, data = self._read_pid_file()[:2]
            process = psutil.Process(int(pid))
            return process if data in process.cmdline() else None
        except (ValueError, psutil.Error):
            return None

    def _read_pid_file(self) -> list[str]:
        """pid, data folder, start time, port, socket folder, address, shared memory, state; nothing without a file."""
        with suppress(FileNotFoundError):
            return self.pid_file.read_text(errors="replace").splitlines()
        return []

    def _launch(self, lock: int) -> None:
        """Start PostgreSQL and let it keep `lock`. Nothing of an earlier server lives, whatever its files say."""
        account = server_account(self.data)
        binaries = find_binaries(account)
        self._write_settings()
        if not self.data.exists():
            self._create_cluster(binaries, account, lock)
        create_private(self.socket_folder, account)
        settings = {
            "config_file": self.home / "server.conf",
            "hba_file": self.home / "hba.conf",
            "ident_file": self.home / "ident.conf",
            "unix_socket_directories": self.socket_folder,
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        stale_pid = next(iter(self._read_pid_file()), "")
        if not stale_pid.isdecimal():
            self.pid_file.unlink(missing_ok=True)  # a machine's crash can leave it empty, which PostgreSQL refuses
        with _opened(self.log, os.O_APPEND) as log:
            # The shell is gone at once, so that init reaps the server: this process might never wait for it.
            run(
                ["/bin/sh", "-c", '"$@" &', "sh", binaries / "postgres", "-D", self.data, *options],
                account,
                output=log,
                keep_open=[lock],
                # A stale pid may be another process's by now. PostgreSQL passes over the one in this variable, meant
                # for pg_ctl's parent, and still checks the shared memory in the file; without the file it could not.
                environment={"PG_GRANDPARENT_PID": stale_pid},
            )

    def _create_cluster(self, binaries: Path, account: Account | None, lock: int) -> None:
        """Make `data` appear with its database or not at all. The commands keep `lock` if this process is killed."""
        draft = self.home / "data.new"
        create_private(draft, account)
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        access = [f"--username={NAME}", "--auth-local=peer", "--auth-host=reject"]
        initdb = run([binaries / "initdb", "-D", draft, *access, *locale], account, keep_open=[lock])
        if initdb.returncode != 0:
            raise _failure("PostgreSQL could not create its cluster", initdb.stdout)
        database = run(
            [binaries / "postgres", "--single", "-D", draft, "-c", "exit_on_error=on", "template1"],
            account,
            stdin=f"CREATE DATABASE {NAME};\n",
            keep_open=[lock],
        )
        if database.returncode != 0:
            raise _failure("PostgreSQL could not create its database", database.stdout)
        draft.rename(self.data)
        folder = os.open(self.home, os.O_RDONLY)
        try:
            os.fsync(folder)  # else a power failure could bring back `data.new`, which the next start deletes
        finally:
            os.close(folder)

    def _write_settings(self) -> None:
        files = {
            "server.conf": SETTINGS,
            "hba.conf": f"local all {NAME} peer map={NAME}\n",
            "ident.conf": f'{NAME} "{user_name()}" {NAME}\n',
        }
        for name, text in files.items():
            (self.home / name).write_text(text)
            (self.home / name).chmod(0o644)  # the server's account reads them; the home folder keeps others out


def _failure(what: str, output: str) -> PostgresUnavailable:
    if "No space left on device" in output:
        what += " because the disk is full"
    last = "\n".join(output.strip().splitlines()[-LOG_LINES:])
    return PostgresUnavailable(f"{what}. It said last:\n{last}")


def _share(users: int) -> None:
    """Become one of the users of the server, after the last one out has stopped it if it is about to."""
    deadline = time.monotonic() + STOP_SECONDS
    while not _try_lock(users, fcntl.LOCK_SH):
        if time.monotonic() > deadline:
            raise PostgresUnavailable(
                f"another process is still stopping PostgreSQL after {STOP_SECONDS:.0f} seconds, try again"
            )
        time.sleep(POLL_SECONDS)


@contextmanager
def _opened(path: Path, flags: int = 0) -> Iterator[int]:
    file = _open(path, flags)
    try:
        yield file
    finally:
        os.close(file)


def _open(path: Path, flags: int = 0) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)


def _try_lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
