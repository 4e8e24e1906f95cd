"""Everything that can break, tried on every method of an account: cells, and what came out of them.

A cell that ends other than it should is a breach, told in a sentence. Only the port's errors may come out of a plugin.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from re import escape, sub
from typing import Any

import httpx
import pytest

from gateway.domain.model import Appointment
from gateway.port import EmrError, MaybeDone
from gateway.testing.cases.failing import Call, failure, reads, verdict, writes
from gateway.testing.faults import FAULTS, Fault, Faulty, bending, is_plain_read, is_write
from gateway.testing.practice import Practice
from gateway.testing.world import World
from gateway.vendor.http import TOKEN_REQUEST

Opens = Callable[[], AbstractAsyncContextManager[World]]
"""A world that nobody has touched yet."""
Place = tuple[str | int, ...]
"""Where in an answer: names of members, and numbers in lists."""


def plainly(make: Callable[[], World]) -> Opens:
    """For worlds that need nothing to be begun or ended."""

    @asynccontextmanager
    async def opens() -> AsyncIterator[World]:
        yield make()

    return opens


@dataclass(slots=True)
class Tally:
    """What has been tried, how it ended, and what could not be tried in the time there was."""

    cells: int = 0
    left: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    breaches: list[str] = field(default_factory=list)
    account: tuple[str, str] = ("", "")
    """The plugin and the edition that it is about."""

    def about(self, world: World) -> None:
        self.account = (world.vendor.key, world.emr.edition)

    def note(self, end: str, breach: str | None = None) -> None:
        self.cells += 1
        self.ends[end] += 1
        if breach is not None:
            self.breaches.append(breach)

    def add(self, other: Tally) -> None:
        self.cells, self.left = self.cells + other.cells, self.left + other.left
        self.ends += other.ends
        self.breaches += other.breaches
        self.account = other.account

    def __str__(self) -> str:
        ends = ", ".join(f"{count} {end}" for end, count in sorted(self.ends.items()))
        left = f", {self.left} left" if self.left else ""
        return f"{self.cells} cells ({ends}), {len(self.breaches)} breaches{left}"


FIGURES = "conformance: faults"
"""The property of a test's report that holds a tally's figures."""


def figures(tally: Tally) -> tuple[str, dict[str, Any]]:
    """For a test's properties: what a conformance report tells of a tally, in values that go to other processes."""
    plugin, edition = tally.account
    ends = {str(end): count for end, count in tally.ends.items()}
    told = {"cells": tally.cells, "ends": ends, "breaches": len(tally.breaches), "left": tally.left}
    return FIGURES, {"plugin": plugin, "edition": edition, **told}


Picks = Callable[[int, int], Iterable[int]]
"""Which requests of a call are broken, each in a cell of its own: given a number and how many there are."""


def every(_: int, count: int) -> Iterable[int]:
    return range(1, count + 1)


def one(number: int, count: int) -> Iterable[int]:
    """Another one for each number, so that each is tried somewhere."""
    return (number % count + 1,) if count else ()


# -- reads and writes -------------------------------------------------------------------------------------------------


async def of_reads(opens: Opens, faults: Iterable[Fault] = FAULTS, picks: Picks = every) -> Tally:
    """Every read that the account declares, broken at its requests in every way."""
    tally, listed = Tally(), list(faults)
    async with opens() as world:
        tally.about(world)
        at = Practice(world)
        made, other = await at.book(0, 0), await at.book(1, 0)
        for method, call in reads(at, made):
            requests = len(await answers(at, call))
            asked = [*listed, mistaken(made, other)] if method in ("appointment", "appointments") else listed
            for number, fault in enumerate(asked):
                for n in picks(number, requests):
                    faulty = Faulty(world.transport, fault=fault, at=n, which=is_plain_read)
                    cell = Cell(f"{method}, {fault.name} at {n}", call, faulty, fault, made, tolerant=fault.bent)
                    await cell.run(at, tally)
    return tally


async def of_writes(opens: Opens, faults: Iterable[Fault] = FAULTS) -> Tally:
    """Every write that the account declares, each in a world in which nothing but it is broken."""
    tally = Tally()
    for fault in faults:
        async with opens() as world:
            tally.about(world)
            at = Practice(world)
            async for method, call, about in writes(at):
                faulty = Faulty(world.transport, fault=fault, which=is_write)
                cell = Cell(f"{method}, {fault.name}", call, faulty, fault, about, tolerant=fault.senseless)
                await cell.run(at, tally)
    return tally


async def of_reads_after_writes(opens: Opens, faults: Iterable[Fault] = FAULTS) -> Tally:
    """A write was carried out, and a read that the plugin makes after it breaks: that is no refusal of the write."""
    tally = Tally()
    for fault in faults:
        if not issubclass(fault.means, MaybeDone):
            async with opens() as world:
                tally.about(world)
                at = Practice(world)
                async for method, call, about in writes(at):
                    faulty = _AfterWrite(world.transport, replace(fault, means=MaybeDone))
                    what = f"{method}, {fault.name} after it"
                    cell = Cell(what, call, faulty, faulty.fault, about, tolerant=True, optional=True)
                    await cell.run(at, tally)
    return tally


class _AfterWrite(Faulty):
    """Breaks the reads that come after a write which was carried out."""

    def __init__(self, transport: httpx.AsyncBaseTransport, fault: Fault) -> None:
        super().__init__(transport, fault=fault, which=self._is_after)
        self.fault, self._written = fault, False

    def _is_after(self, request: httpx.Request) -> bool:
        return self._written and is_plain_read(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await super().handle_async_request(request)
        self._written |= is_write(request) and answer.is_success
        return answer


@dataclass(frozen=True, slots=True)
class Cell:
    what: str
    call: Call
    faulty: Faulty
    fault: Fault
    about: Appointment | None
    tolerant: bool
    """An answer may come out, if it is right in itself."""
    optional: bool = False
    """It may well make no request that breaks."""

    async def run(self, at: Practice, tally: Tally) -> None:
        try:
            error = await failure(at, self.call, self.faulty)
            if self.optional and not self.faulty.broken:
                return
            assert self.faulty.broken, f"{self.what}: it made no request that could break"
            verdict(at, self.what, self.fault, error, self.about, tolerant=self.tolerant)
        except pytest.fail.Exception as failed:
            tally.note("breach", f"{self.what}: {failed.msg}")
        except Exception as wrong:  # noqa: BLE001  that nothing else comes out is what is tried
            tally.note("breach", f"{self.what}: {type(wrong).__name__}: {wrong}")
        else:
            tally.note("answered" if error is None else _kind(error))


def _kind(error: EmrError) -> str:
    """As the port calls it."""
    return next(kind.__name__ for kind in type(error).mro() if kind in EmrError.__subclasses__())


def mistaken(made: Appointment, other: Appointment) -> Fault:
    """The true answer, about another appointment. It is never to be taken for the one that was asked for."""
    plain = bending("200 about another record", lambda body: body)

    def breaks(request: httpx.Request, truth: bytes) -> httpx.Response:
        renamed = sub(rf"(?<![\w-]){escape(made.id)}(?![\w-])", other.id, truth.decode())
        return plain.breaks(request, renamed.encode())

    return Fault(plain.name, breaks, plain.means, reaches=True)


# -- leaf by leaf -----------------------------------------------------------------------------------------------------

BENDS: dict[str, Callable[[Any], Any] | None] = {
    "a number": lambda _: 7,
    "a text": lambda _: "no such thing",
    "nothing": lambda _: None,
    "a list": lambda value: [value],
    "an object": lambda value: {"value": value},
    "left out": None,
}


class Heard(httpx.AsyncBaseTransport):
    """Passes on, and keeps the bodies of the answers to reads."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.bodies: list[Any] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        if is_plain_read(request) and TOKEN_REQUEST not in request.extensions:
            await answer.aread()
            self.bodies.append(answer.json() if answer.is_success and answer.content else None)
        return answer


async def answers(at: Practice, call: Call) -> list[Any]:
    """The JSON of every answer that a read is made from. Raises EmrError where it fails though nothing is broken."""
    heard = Heard(at.world.transport)
    await call(at.world.open_over(heard))
    return heard.bodies


async def of_leaves(opens: Opens, stride: int = 1) -> Tally:
    """Every read, with every single thing in its answers bent in every way; of so many cells, one is tried."""
    tally, number = Tally(), 0
    async with opens() as world:
        tally.about(world)
        at = Practice(world)
        made = await at.book(0, 0)
        for method, call in reads(at, made):
            for n, body in enumerate(await answers(at, call), start=1):
                for place, (how, bend) in [(p, b) for p in places(body) for b in BENDS.items()]:
                    number += 1
                    if number % stride == 0:
                        fault = bending(f"{'/'.join(map(str, place))} {how}", bent_at(place, bend))
                        faulty = Faulty(world.transport, fault=fault, at=n, times=1, which=is_plain_read)
                        cell = Cell(f"{method}, {fault.name} at {n}", call, faulty, fault, made, tolerant=True)
                        await cell.run(at, tally)
    return tally


def places(body: Any, here: Place = ()) -> Iterator[Place]:
    """Where in an answer there is something."""
    if here:
        yield here
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for name, held in items:
        yield from places(held, (*here, name))


def bent_at(place: Place, bend: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    """What stands there is bent, or left out."""

    def bent(body: Any) -> Any:
        holder = body
        try:
            for name in place[:-1]:
                holder = holder[name]
            if bend is None:
                del holder[place[-1]]
            else:
                holder[place[-1]] = bend(holder[place[-1]])
        except (LookupError, TypeError):
            return 7  # requests that are made at the same time may come in another order
        return body

    return bent
