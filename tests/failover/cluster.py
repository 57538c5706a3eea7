"""Three PostgreSQL under Patroni, which replicate synchronously, and the etcd in which they agree; on the loopback."""

import asyncio
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

from automations.postgres_install import Account, server_account
from tests.harness import eventually

NODES = ("db1", "db2", "db3")
START_SECONDS = 90
REJOIN_SECONDS = 120
_DEBIAN = Path("/usr/lib/postgresql")

# Patroni asks for loop_wait + 2 * retry_timeout <= ttl. A primary is given up once `ttl` has gone by.
AGREEMENT = {
    "ttl": 10,
    "loop_wait": 1,
    "retry_timeout": 4,
    "maximum_lag_on_failover": 1048576,
    "synchronous_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {"max_connections": 200, "shared_buffers": "64MB", "wal_keep_size": "512MB"},
    },
}


def missing_programs() -> list[str]:
    """Those that a cluster needs and that are not here."""
    found = {"patroni": shutil.which("patroni"), "etcd": shutil.which("etcd"), "PostgreSQL": _postgres_programs()}
    return [name for name, place in found.items() if place is None]


@dataclass
class Node:
    """One PostgreSQL and its Patroni."""

    name: str
    folder: Path
    port: int
    rest_port: int
    patroni: "subprocess.Popen[bytes] | None" = None

    def signal(self, number: signal.Signals) -> None:
        """Patroni, PostgreSQL and all its processes, at once. Stopped ones are as a machine that hangs."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and the end of it."""
        self.signal(signal.SIGKILL)
        if self.patroni is not None:
            self.patroni.wait()
            self.patroni = None

    def _processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        with suppress(FileNotFoundError, psutil.NoSuchProcess, ValueError, IndexError):
            postmaster = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
            if str(self.folder) in " ".join(postmaster.cmdline()):  # the file may have outlived its process
                found = [postmaster, *postmaster.children(recursive=True)]
        with suppress(psutil.NoSuchProcess):
            if self.patroni is not None:
                patroni = psutil.Process(self.patroni.pid)
                found += [patroni, *patroni.children(recursive=True)]
        return found


@dataclass
class Cluster:
    """The nodes; `url` names them all."""

    folder: Path
    etcd_port: int
    nodes: Sequence[Node]
    account: Account | None
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def url(self) -> str:
        """Whichever of the nodes can be written to."""
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"postgresql://postgres:{self.password}@{hosts}/postgres?target_session_attrs=read-write"

    def start(self, node: Node) -> None:
        """Start a node, as a new one or with what it had."""
        node.folder.mkdir(mode=0o700, exist_ok=True)
        self._give_away(node.folder)
        config = node.folder / "patroni.json"  # JSON is YAML too
        config.write_bytes(orjson.dumps(self._config(node)))
        self._give_away(config)
        with (node.folder / "patroni.log").open("ab") as log:
            node.patroni = subprocess.Popen(
                [shutil.which("patroni") or "patroni", config],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                start_new_session=True,
                user=self.account.uid if self.account else None,
                group=self.account.gid if self.account else None,
                extra_groups=[] if self.account else None,
            )

    async def wait_until_whole(self, seconds: float) -> Node:
        """Wait until all replicate, one of them synchronously; the primary."""

        async def primary() -> Node | None:
            roles = {member["name"]: member["role"] for member in await self._members() if _is_well(member)}
            leaders = [node for node in self.nodes if roles.get(node.name) == "leader"]
            whole = len(roles) == len(self.nodes) and "sync_standby" in roles.values()
            return leaders[0] if whole and leaders else None

        try:
            found: Node = await eventually(primary, seconds)
        except TimeoutError:
            raise RuntimeError(f"the cluster is not whole after {seconds:g} s:\n{self._logs()}") from None
        return found

    async def _members(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(timeout=2) as client:
            for node in self.nodes:
                with suppress(httpx.TransportError):
                    answer = await client.get(f"http://127.0.0.1:{node.rest_port}/cluster")
                    return list(answer.json()["members"])
        await asyncio.sleep(0.2)
        return []

    def _config(self, node: Node) -> dict[str, Any]:
        superuser = {"username": "postgres", "password": self.password}
        return {
            "scope": "automations",
            "name": node.name,
            "restapi": {"listen": f"127.0.0.1:{node.rest_port}", "connect_address": f"127.0.0.1:{node.rest_port}"},
            "etcd3": {"host": f"127.0.0.1:{self.etcd_port}"},
            "bootstrap": {
                "dcs": AGREEMENT,
                "initdb": [{"encoding": "UTF8"}, "data-checksums"],
                "pg_hba": [
                    "local all all scram-sha-256",
                    "host all all 127.0.0.1/32 scram-sha-256",
                    "host replication all 127.0.0.1/32 scram-sha-256",
                ],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{node.port}",
                "connect_address": f"127.0.0.1:{node.port}",
                "data_dir": str(node.folder / "data"),
                "bin_dir": str(_postgres_programs()),
                "pgpass": str(node.folder / "pgpass"),
                "authentication": {"superuser": superuser, "replication": superuser, "rewind": superuser},
                "parameters": {"unix_socket_directories": ""},
            },
        }

    def _give_away(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def _logs(self) -> str:
        ends = []
        for node in self.nodes:
            with suppress(FileNotFoundError):
                lines = (node.folder / "patroni.log").read_text().splitlines()
                ends += [f"{node.name}: {line}" for line in lines[-10:]]
        return "\n".join(ends)


@asynccontextmanager
async def open_cluster(folder: Path) -> AsyncIterator[Cluster]:
    """A whole cluster in this folder; none of its processes is left in the end."""
    folder.chmod(0o755)  # run as root, PostgreSQL has another account
    etcd_port, peer_port, *ports = _free_ports(2 + 2 * len(NODES))
    nodes = [Node(name, folder / name, ports.pop(), ports.pop()) for name in NODES]
    cluster = Cluster(folder, etcd_port, nodes, server_account(folder / "db1" / "data"))
    etcd = _start_etcd(folder / "etcd", etcd_port, peer_port)
    try:
        for node in nodes:
            cluster.start(node)
        await cluster.wait_until_whole(START_SECONDS)
        yield cluster
    finally:
        for node in nodes:
            node.kill()
        etcd.send_signal(signal.SIGKILL)
        etcd.wait()


def _start_etcd(folder: Path, port: int, peer_port: int) -> "subprocess.Popen[bytes]":
    own, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    folder.mkdir(mode=0o700)
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [
                shutil.which("etcd") or "etcd", "--name", "etcd", "--data-dir", folder / "data",
                "--listen-client-urls", own, "--advertise-client-urls", own,
                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"etcd={peer}",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )  # fmt: skip


def _is_well(member: dict[str, Any]) -> bool:
    return member["state"] in {"running", "streaming"}


def _postgres_programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs, where Debian has them or on the path."""
    versions = [path for path in _DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: int(path.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _free_ports(count: int) -> list[int]:
    """Ports that nobody has just now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
