"""Several processes of one server: they share its socket, and its work by the database. One that dies is replaced."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any

import structlog
from prometheus_client.multiprocess import mark_process_dead

log = structlog.get_logger(__name__)

Work = Callable[..., None]

REST_SECONDS = 1.0
"""Before a worker that died is replaced."""

_spawn = multiprocessing.get_context("spawn")  # a forked one would have the locks and connections of this process


def run_workers(count: int, work: Work, arguments: tuple[Any, ...], *, on_ready: Callable[[], None]) -> int:
    """Run `work(*arguments, on_ready)` in so many processes until a signal comes; return the exit code.

    `work` calls its `on_ready` when it is; ours is called when all are. The first goes ahead: what keeps it from
    getting ready would keep the others too, and ends the server with its exit code.
    """
    workers = _Workers(count, work, arguments)
    with workers.stopped_by_signals():
        return workers.run(on_ready)


class _Worker:
    """One place among the workers, and the process that fills it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.is_ready = False
        self.rests_until = 0.0
        self.process: SpawnProcess | None = None
        self._hears: Connection | None = None

    @property
    def waited_for(self) -> list[Any]:
        """What becomes readable when the process is ready or ended."""
        return [thing for thing in (self._hears, self.process and self.process.sentinel) if thing is not None]

    def start(self, work: Work, arguments: tuple[Any, ...]) -> None:
        self._hears, tells = _spawn.Pipe(duplex=False)
        self.process = _spawn.Process(
            target=_run, args=(self.number, tells, work, arguments), name=f"worker {self.number}"
        )
        self.process.start()
        tells.close()

    def look(self) -> int | None:
        """See whether it is ready or ended; the exit code of one that ended."""
        if self._hears is not None and self._hears.poll():
            with suppress(EOFError):  # it ended without a word
                self.is_ready = self._hears.recv()
            self._hears.close()
            self._hears = None
        if self.process is None or self.process.exitcode is None:
            return None
        code = self.process.exitcode
        mark_process_dead(self.process.pid)  # type: ignore[no-untyped-call]  # else its last numbers would count for ever
        self.process, self.rests_until = None, time.monotonic() + REST_SECONDS
        return code


class _Workers:
    def __init__(self, count: int, work: Work, arguments: tuple[Any, ...]) -> None:
        self._workers = [_Worker(number) for number in range(1, count + 1)]
        self._work, self._arguments = work, arguments
        self._is_stopping = False
        self._code = 0

    def run(self, on_ready: Callable[[], None]) -> int:
        is_told = False
        while not self._is_stopping or any(worker.process for worker in self._workers):
            self._fill_places()
            wait([thing for worker in self._workers for thing in worker.waited_for], timeout=REST_SECONDS)
            for worker in self._workers:
                if (code := worker.look()) is not None:
                    self._go_on_without(worker, code)
            if not is_told and all(worker.is_ready for worker in self._workers):
                is_told = True
                on_ready()
        return self._code

    def stop(self) -> None:
        """End them all; called again, without waiting for what is under way."""
        self._is_stopping = True
        for worker in self._workers:
            if worker.process is not None:
                worker.process.terminate()

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stop()

        earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)

    def _fill_places(self) -> None:
        first = self._workers[0]
        for worker in self._workers if first.is_ready else [first]:
            if self._is_stopping:
                return
            if worker.process is None and time.monotonic() >= worker.rests_until:
                worker.start(self._work, self._arguments)
                if self._is_stopping:  # the signal came before there was a process to end
                    self.stop()

    def _go_on_without(self, worker: _Worker, code: int) -> None:
        if self._is_stopping:
            return
        if not worker.is_ready:
            self._code = code if code > 0 else 1
            self.stop()
            return
        log.error("a worker died and is replaced", worker=worker.number, exit_code=code)


def _run(number: int, tells: Connection, work: Work, arguments: tuple[Any, ...]) -> None:
    """What a worker is: `work`, out of reach of the terminal's Ctrl-C, which its parent passes on, and no orphan."""
    os.setsid()
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    structlog.contextvars.bind_contextvars(worker=number)

    def on_ready() -> None:
        tells.send(True)
        tells.close()

    work(*arguments, on_ready)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
