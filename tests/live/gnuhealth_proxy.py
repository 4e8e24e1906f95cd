"""A door before the server in which a test can stand: something happens just before, or just after, the n-th write."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import httpx

WRITES = (".write", ".create", ".delete")
Happening = Callable[[], object]


class Proxy:
    """Passes requests on and answers back. An answer that does not come is a connection that ends."""

    def __init__(self, target: str, url: str) -> None:
        self.target, self.url = target, url
        self.writes: list[str] = []
        self._before: dict[int, Happening] = {}
        self._after: dict[int, Happening] = {}
        self._lock = Lock()

    def expect(self, number: int, happening: Happening, *, after: bool = False) -> None:
        """Once, at the `number`-th write from now on."""
        at = len(self.writes) + number
        (self._after if after else self._before)[at] = happening

    def passing(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response | None:
        number = self._counted(body)
        self._before.pop(number, _nothing)()
        try:
            answer = httpx.post(self.target + path, content=body, headers=headers, timeout=30)
        except httpx.TransportError:
            return None
        finished = self._after.pop(number, None)
        if finished is None:
            return answer
        finished()
        return None

    def _counted(self, body: bytes) -> int:
        """Which write this is; 0 for a read."""
        method = json.loads(body)["method"]
        if not method.endswith(WRITES):
            return 0
        with self._lock:
            self.writes.append(method.rpartition(".")[2])
            return len(self.writes)


def _nothing() -> None:
    """What mostly happens."""


@contextmanager
def standing_before(target: str) -> Iterator[Proxy]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    proxy = _Handler.proxies[server.server_port] = Proxy(target, f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


class _Handler(BaseHTTPRequestHandler):
    proxies: dict[int, Proxy] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        self.send_error(405)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        told = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        answer = self.proxies[self.server.server_address[1]].passing(self.path, body, told)
        self.close_connection = True
        if answer is None:
            return
        with contextlib.suppress(ConnectionError):
            self.send_response_only(answer.status_code)
            for name in ("Date", "Content-Type"):
                if name in answer.headers:
                    self.send_header(name, answer.headers[name])
            self.send_header("Content-Length", str(len(answer.content)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: bodies and paths are nobody's business."""
