"""A proxy that keeps what it passes on: requests and their answers, in order, without a trace of the machine."""

import gzip
import json
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

KEPT_HEADERS = ("authorization", "x-prefect-core-version", "x-prefect-agent-id", "x-prefect-tenant-id")
UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


@dataclass
class Recorder:
    """What was said. `scrubbed`: texts of this machine and what stands for them."""

    target: str
    scrubbed: Mapping[str, str]
    exchanges: list[dict[str, Any]] = field(default_factory=list)
    _shapes: set[str] = field(default_factory=set)
    _ids: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, headers: dict[str, str], request: bytes, answer: bytes) -> None:
        """Keep an exchange; a read of a shape that is kept already, whose answer has no new id, says nothing new."""
        body = json.loads(request)
        with self._lock:
            shape = " ".join(sorted(re.findall(r"\w+", re.sub(r'"[^"]*"', "", body["query"]))))
            reads = not body["query"].lstrip().startswith("mutation") or "get_runs_in_queue" in shape
            ids = set(UUID.findall(answer.decode()))
            if reads and shape in self._shapes and ids <= self._ids:
                return
            self._shapes.add(shape)
            self._ids |= ids
            variables = json.loads(body.get("variables") or "null")
            _scrub_compressed(variables, self.scrubbed)
            exchange = {
                "headers": headers,
                "query": body["query"],
                "variables": json.dumps(variables),
                "answer": json.loads(answer),
            }
            self.exchanges.append(json.loads(_scrub(json.dumps(exchange), self.scrubbed)))

    @contextmanager
    def serving(self) -> Iterator[str]:
        """The URL of the proxy."""
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"]))
                kept = {name: value for name, value in self.headers.items() if name.lower() in KEPT_HEADERS}
                headers = {**kept, "Content-Type": "application/json"}
                with urlopen(Request(recorder.target, request, headers)) as response:
                    answer = response.read()
                recorder.keep(kept, request, answer)
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def _scrub(text: str, scrubbed: Mapping[str, str]) -> str:
    for machine, stand_in in scrubbed.items():
        text = text.replace(machine, stand_in)
    return text


def _scrub_compressed(variables: Any, scrubbed: Mapping[str, str]) -> None:
    """Make a compressed flow clean inside."""
    input_ = variables.get("input", {}) if isinstance(variables, dict) else {}
    if isinstance(input_.get("serialized_flow"), str):
        text = gzip.decompress(b64decode(input_["serialized_flow"])).decode()
        input_["serialized_flow"] = b64encode(gzip.compress(_scrub(text, scrubbed).encode(), mtime=0)).decode()
