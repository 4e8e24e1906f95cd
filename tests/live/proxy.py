"""A door before a server, in which a test can stand: something happens at the n-th write, or its answer is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import NamedTuple

import httpx

PASSED_ON = ("Authorization", "Content-Type", "Accept", "Prefer", "If-Match", "If-None-Exist", "Cache-Control")
ANSWERED = ("Date", "Content-Type", "ETag", "Last-Modified", "Location", "WWW-Authenticate")
RPC_WRITES = (".write", ".create", ".delete")

Happening = Callable[[], object]


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def is_write(self) -> bool:
        """In the dialect of either server."""
        if self.method == "GET" or not self.body:
            return False
        told = json.loads(self.body)
        if isinstance(told, dict) and "params" in told:
            return str(told["method"]).endswith(RPC_WRITES)
        # A patch that only tests is a question.
        return not (self.method == "PATCH" and all(op["op"] == "test" for op in told))


class Event(NamedTuple):
    """What happens at a write: before it, or when it is carried out and nobody has heard of it yet."""

    before: Happening = lambda: None
    carried_out: bool = True
    after: Happening = lambda: None
    told: bool = True


class Lane:
    """One way through the door: its own address, and its own count of writes, which pass one at a time."""

    def __init__(self, target: str, url: str) -> None:
        self.url, self.writes, self.unauthorized = url, 0, 0
        self._target, self._writing = target, Lock()
        self._events = dict[int, Event]()
        self._http = httpx.Client(timeout=30, verify=False)

    def close(self) -> None:
        self._http.close()

    def begin(self, events: Mapping[int, Event]) -> None:
        """Count from one again. Events are for the writes of these numbers, each once."""
        self.writes, self.unauthorized, self._events = 0, 0, dict(events)

    def passing(self, request: Request) -> httpx.Response | None:
        """`None`: the connection ends without an answer."""
        if not request.is_write:
            return self._answer(request)
        with self._writing:
            event = self._events.pop(self.writes + 1, Event())
            event.before()
            answer = self._answer(request) if event.carried_out else None
            # What was refused for want of a token is sent again, and is still the same write.
            wanting = answer is not None and answer.status_code == 401
            self.unauthorized += wanting
            self.writes += not wanting
            event.after()
            return answer if event.told else None

    def _answer(self, request: Request) -> httpx.Response | None:
        with suppress(httpx.TransportError):
            return self._http.request(
                request.method, self._target + request.path, headers=request.headers, content=request.body
            )
        return None

    def told(self, answer: httpx.Response) -> tuple[list[tuple[str, str]], bytes]:
        """Headers and body, with the server's own address as that of this lane."""
        headers = [(name, answer.headers[name]) for name in ANSWERED if name in answer.headers]
        target, url = self._target, self.url
        body = answer.content.replace(target.encode(), url.encode())
        return [(name, value.replace(target, url)) for name, value in headers], body


@contextmanager
def lanes(target: str, count: int) -> Iterator[list[Lane]]:
    """Ways to the server at `target`, an address without a path."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    base = f"http://127.0.0.1:{server.server_port}"
    made = [Lane(target, f"{base}/{n}") for n in range(count)]
    _Handler.lanes[server.server_port] = made
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
        for lane in made:
            lane.close()


class _Handler(BaseHTTPRequestHandler):
    lanes: dict[int, list[Lane]] = {}
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in two parts would wait for an acknowledgement between them
    disable_nagle_algorithm = True

    def _pass(self) -> None:
        _, number, path = self.path.split("/", 2)
        lane = self.lanes[self.server.server_address[1]][int(number)]
        headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = lane.passing(Request(self.command, f"/{path}", headers, body))
        if answer is None:
            self.close_connection = True
            return
        with suppress(ConnectionError):
            self._say(answer.status_code, *lane.told(answer))

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815

    def _say(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: bodies and paths are nobody's business."""
