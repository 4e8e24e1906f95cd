"""`Acts` over a Unix socket in the state directory: whoever may read that directory's key, and nobody else.

There is no port for it: what it shows and does is for the gateway's operator, on the machine itself.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.attention.attending import Acts, By, CantBe
from gateway.attention.status import Status
from gateway.attention.view import Listed, Shown
from gateway.ledger import Erased, LedgerDown, Subject

log = logging.getLogger("gateway.control")

NAME = "control.sock"
_LONGEST = 107
"""Bytes of an address, without the zero at its end (Linux: 108, elsewhere 104)."""
_SLOWEST_S = 120.0
_LISTED = TypeAdapter(list[Listed])
_ERASED = TypeAdapter(Erased)


class NobodyThere(Exception):
    """No gateway listens in this state directory."""


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Filter(_Asked):
    settled: bool = False
    client: str | None = None
    emr: str | None = None


class Show(_Asked):
    who: str = Field(min_length=1, max_length=200)


class Retry(_Asked):
    wait_s: float = Field(ge=0, le=60)
    who: str = Field(min_length=1, max_length=200)


class Settle(_Asked):
    by_hand: By
    note: str = Field(min_length=1, max_length=2000)
    who: str = Field(min_length=1, max_length=200)


class Erase(_Asked):
    kind: Literal["appointment", "patient", "client"]
    id: str = Field(min_length=1, max_length=1000)
    who: str = Field(min_length=1, max_length=200)


# -- the gateway's end ------------------------------------------------------------------------------------------------


def app(acts: Acts, running: Callable[[], Status]) -> Starlette:
    """What is served on the socket. `running`: what runs."""

    async def told(_: Request) -> Response:
        return _told(running())

    return Starlette(
        routes=[
            Route("/status", told, methods=["POST"]),
            Route("/commands", partial(_list, acts), methods=["POST"]),
            Route("/commands/{id}", partial(_show, acts), methods=["POST"]),
            Route("/commands/{id}/retry", partial(_retry, acts), methods=["POST"]),
            Route("/commands/{id}/settle", partial(_settle, acts), methods=["POST"]),
            Route("/erase", partial(_erase, acts), methods=["POST"]),
        ],
        exception_handlers={CantBe: _refused, LedgerDown: _refused, ValidationError: _misunderstood},
    )


async def _list(acts: Acts, request: Request) -> Response:
    asked = Filter.model_validate_json(await request.body())
    found = await acts.listed(settled=asked.settled, client=asked.client, emr=asked.emr)
    return Response(_LISTED.dump_json(list(found)))


async def _show(acts: Acts, request: Request) -> Response:
    asked = Show.model_validate_json(await request.body())
    return _told(await acts.shown(request.path_params["id"], asked.who))


async def _retry(acts: Acts, request: Request) -> Response:
    asked = Retry.model_validate_json(await request.body())
    return _told(await acts.retry(request.path_params["id"], asked.wait_s, asked.who))


async def _settle(acts: Acts, request: Request) -> Response:
    asked = Settle.model_validate_json(await request.body())
    return _told(await acts.settle(request.path_params["id"], asked.by_hand, asked.note, asked.who))


async def _erase(acts: Acts, request: Request) -> Response:
    asked = Erase.model_validate_json(await request.body())
    erased = await acts.erase(Subject(asked.kind, asked.id), asked.who)
    return Response(_ERASED.dump_json(erased))


def _told(seen: BaseModel) -> Response:
    return Response(seen.model_dump_json())


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"sentence": str(error)}, 409)


async def _misunderstood(_: Request, __: Exception) -> Response:
    return JSONResponse({"sentence": "The gateway that runs does not understand this; is it another version?"}, 400)


@contextmanager
def bound(state_dir: Path) -> Iterator[socket.socket | None]:
    """A socket of its owner's alone that does not listen yet, taken away again at the end; the directory is ours.

    `None` where there can't be one: the gateway does without, and says so.
    """
    path = state_dir / NAME
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind(found, path)
    except OSError as error:
        found.close()
        log.warning("%s can't be made (%s): commands can be settled only while no gateway runs", NAME, error.strerror)
        yield None
        return
    with found:
        try:
            yield found
        finally:
            path.unlink(missing_ok=True)


def _bind(found: socket.socket, path: Path) -> None:
    if path.is_socket():
        path.unlink()  # left by a process that was killed: nobody else works in this directory
    with _address(path) as address:
        found.bind(address)
    # Nobody can connect before it listens.
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)


@contextmanager
def _address(path: Path) -> Iterator[str]:
    """A name that fits into a socket's address, however long the path is."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


# -- the operator's end -----------------------------------------------------------------------------------------------


class Control:
    """`Acts` of the gateway that runs on this state directory. All raise NobodyThere where none does."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / NAME

    async def listed(self, *, settled: bool, client: str | None, emr: str | None) -> Sequence[Listed]:
        return _LISTED.validate_json(await self._ask("/commands", Filter(settled=settled, client=client, emr=emr)))

    async def shown(self, id: str, who: str) -> Shown:
        return Shown.model_validate_json(await self._ask(f"/commands/{id}", Show(who=who)))

    async def retry(self, id: str, wait_s: float, who: str) -> Listed:
        asked = Retry(wait_s=wait_s, who=who)
        return Listed.model_validate_json(await self._ask(f"/commands/{id}/retry", asked))

    async def settle(self, id: str, by_hand: By, note: str, who: str) -> Listed:
        asked = Settle(by_hand=by_hand, note=note, who=who)
        return Listed.model_validate_json(await self._ask(f"/commands/{id}/settle", asked))

    async def status(self) -> Status:
        return Status.model_validate_json(await self._ask("/status"))

    async def erase(self, subject: Subject, who: str) -> Erased:
        return _ERASED.validate_json(await self._ask("/erase", Erase(kind=subject.kind, id=subject.id, who=who)))

    async def _ask(self, path: str, asked: BaseModel | None = None) -> bytes:
        try:
            answer = await self._post(path, b"" if asked is None else asked.model_dump_json().encode())
        except httpx.ConnectError:
            raise NobodyThere from None
        except (httpx.TransportError, OSError) as error:
            raise CantBe(f"The gateway did not answer ({type(error).__name__}).") from None
        if answer.status_code != 200:
            raise CantBe(_sentence(answer))
        return answer.content

    async def _post(self, path: str, body: bytes) -> httpx.Response:
        if not self._path.is_socket():
            raise NobodyThere
        with _address(self._path) as address:
            transport = httpx.AsyncHTTPTransport(uds=address)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=_SLOWEST_S) as http:
                return await http.post(path, content=body)


def _sentence(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["sentence"])
    except (ValueError, LookupError, TypeError):
        return f"The gateway failed ({answer.status_code}); its log says more."
