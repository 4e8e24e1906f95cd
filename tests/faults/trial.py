"""One case: a clinic app asks, the gateway is killed at a boundary and started again, the app asks again; and what
became of it is held against what an uninterrupted run leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import httpx

from tests.faults.book import NAMED, VERSIONED, Desk, View, Wrong
from tests.faults.dying import Life
from tests.faults.processes import PATIENCE_S, Gateway
from tests.faults.scenarios import Request, Scenario

CLIENT = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret"}
CLIENTS = """\
demo = true

[[clients]]
id = "one"
secret = "plain:one-secret"

[clients.emrs.emr]
plugin = "sandbox"
settings = {{ base_url = "{base}", clinic = "{clinic}", api_key = "{clinic}-key", personality = "{personality}" }}
"""
ENDED = ("done", "refused", "undone", "needs_attention")
TRIES = 3
"""How often the app asks anew for what was undone; it is killed once or twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a case happens."""

    base: str
    """The EMR's address."""
    folder: Path
    today: date
    personality: str
    http: httpx.AsyncClient


@dataclass(frozen=True, slots=True)
class Record:
    """What an uninterrupted run leaves, after each of its requests."""

    views: list[View] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    own: list[Any] = field(default_factory=list)


class Trial:
    """`deaths`: the boundary that each of the gateway's lives ends at; after them one that is not cut short."""

    def __init__(
        self, place: Place, clinic: str, scenario: Scenario, deaths: Sequence[int] = (), *, eager: bool = False,
        planted: str | None = None,
    ) -> None:  # fmt: skip
        self._place, self._scenario, self._eager, self._planted = place, scenario, eager, planted
        self._deaths: list[int | None] = [*deaths]
        self._desk = Desk(place.http, place.base, place.personality, clinic, place.today)
        self._folder = place.folder / clinic
        self._write_config(clinic)
        self.lives: list[Gateway] = []
        self.died_at: list[str] = []
        self.ends: list[str] = []
        """How the commands ended that were not done at once."""
        self.boundaries = 0
        """How many the last life came to."""
        self.record = Record()

    def _write_config(self, clinic: str) -> None:
        self._folder.mkdir()
        clients = CLIENTS.format(base=self._place.base, clinic=clinic, personality=self._place.personality)
        (self._folder / "clients.toml").write_text(clients)
        (self._folder / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n')

    async def run(self, reference: Record | None = None) -> None:
        """Raises Wrong."""
        try:
            await self._begin()
            await self._ask_all(reference)
            await self._end(reference)
        finally:
            for life in self.lives:
                await life.kill()

    async def _begin(self) -> None:
        self._first = self._now = await self._desk.view()
        await self._next_life()

    async def _ask_all(self, reference: Record | None) -> None:
        for number, ask in enumerate(self._scenario.asks):
            self._number, self._reference = number, reference
            request = ask(self._place.today, self.record.answers)
            answer = await self._insisted(request)
            self._now = await self._desk.view()
            self.record.views.append(self._now)
            self.record.answers.append(answer.json())
            self._is_all(self._now)
            if reference is not None and _masked(answer.json()) != _masked(reference.answers[number]):
                raise Wrong("untrue", f"it answered {answer.text}")

    async def _end(self, reference: Record | None) -> None:
        self.boundaries = len(self.lives[-1].boundaries_now())
        if self._doomed:
            # What it has not died at so far are a reader's calls, and those are others in every run.
            await self.lives[-1].kill()
            await self._next_life()
        for id in self._scenario.own:
            self.record.own.append((await self._get(f"/api/emrs/emr/appointments/{id}")).json())
        if reference is not None and _masked(self.record.own) != _masked(reference.own):
            raise Wrong("lost", f"under their ids are {self.record.own}")
        if (await self._get("/api/commands", state="unsettled")).json() and "reported" not in self.ends:
            raise Wrong("in progress", "a command is left unsettled")
        if unannounced := (await self._desk.seen())["unannounced"]:
            raise Wrong("untrue", f"the ledger knew nothing of {unannounced}")

    # -- the client -----------------------------------------------------------------------------------------------------

    async def _insisted(self, request: Request) -> httpx.Response:
        """With the same key as long as nobody knows what became of it; with a new one when it is known not to stand."""
        for attempt in range(TRIES):
            answer = await self._final(request, f"{self._number}-{attempt}")
            if answer.is_success:
                return answer
        raise Wrong("lost", f"asked for {TRIES} times, it is answered by {answer.status_code} {answer.text}")

    async def _final(self, request: Request, key: str) -> httpx.Response:
        deadline = time.monotonic() + PATIENCE_S
        reborn = False
        while time.monotonic() < deadline:
            try:
                if reborn and not self._eager:
                    await self._settled(key)
                answer = await self._send(request, key)
                if answer.is_success or await self._is_final(answer, key):
                    return answer
            except httpx.TransportError:
                await self._next_life()
                reborn = True
        raise Wrong("in progress", f"{key} never got its final answer")

    async def _is_final(self, answer: httpx.Response, key: str) -> bool:
        """A failure that is remembered is told again, word for word, and names what it is true of."""
        if answer.json()["code"] == "REQUEST_IN_PROGRESS":
            await self._settled(key)
            return False
        command = await self._settled(key)
        return command is None or command["answer"]["body"] == answer.json()

    async def _settled(self, key: str) -> Any:
        """The command, at its end, and the truth of it; `None` where nothing is remembered."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = (await self._get("/api/commands", idempotency_key=key)).json()
            if all(command["state"] in ENDED for command in found):
                await self._is_true(found[0] if found else None)
                return found[0] if found else None
            await asyncio.sleep(0.02)
        raise Wrong("in progress", f"{key} did not settle")

    async def _is_true(self, command: Any) -> None:
        now = await self._desk.view()
        state = "nothing" if command is None else command["state"]
        if command is not None and (await self._get(f"/api/commands/{command['id']}")).json() != command:
            raise Wrong("untrue", "a command is shown in two ways")
        self.ends.append({"needs_attention": "reported"}.get(state, state))
        if state == "done":
            self._is_all(now)
        elif state == "needs_attention":
            await self._is_reported(command, now)
        else:
            self._is_nothing(now)

    async def _send(self, request: Request, key: str) -> httpx.Response:
        headers = {**CLIENT, "idempotency-key": key}
        url = f"{self._url}/api/emrs/emr/appointments{request.path}"
        return await self._place.http.request(request.method, url, json=request.body, headers=headers)

    async def _get(self, path: str, **params: str) -> httpx.Response:
        answer = await self._place.http.get(self._url + path, params=params, headers=CLIENT)
        if answer.status_code != 200:
            raise Wrong("lost", f"GET {path} is answered by {answer.status_code}")
        return answer

    # -- the gateway's lives --------------------------------------------------------------------------------------------

    async def _next_life(self) -> None:
        """Another process on the same state directory, once the one before is dead; and another where it dies early."""
        port = None
        while port is None:
            if self.lives:
                self.died_at += await self.lives[-1].buried()
            until = self._deaths.pop(0) if self._deaths else None
            again = len(self.lives) > 0
            config = self._folder / "gateway.toml"
            life = Life(config=config, until=until, from_the_start=again, planted=self._planted)
            self.lives.append(Gateway(life))
            port = await self.lives[-1].port()
        self._doomed = until is not None
        self._url = f"http://127.0.0.1:{port}"

    # -- all, nothing, or reported --------------------------------------------------------------------------------------

    def _is_all(self, now: View) -> None:
        self._bystanders(now)
        if self._reference is not None:
            self._same(now, self._reference.views[self._number], but=NAMED)

    def _is_nothing(self, now: View) -> None:
        self._bystanders(now)
        # Where a move makes a new appointment, its undo makes another one.
        self._same(now, self._now, but=NAMED if self._place.personality == "new-id" else VERSIONED)

    async def _is_reported(self, command: Any, now: View) -> None:
        self._bystanders(now)
        answer = command["answer"]
        changed = [f"ids/{n}" for n, id in enumerate(self._scenario.own) if await self._changed(id)]
        named = sorted(error["path"] or "" for error in answer["body"]["errors"])
        if answer["body"]["code"] == "OUTCOME_UNKNOWN" and not changed:
            return
        if answer["status"] != 502 or named != changed:
            raise Wrong("untrue", f"changed are {changed}, and it says {answer['body']}")

    async def _changed(self, id: str) -> bool:
        before = self._first.of([id])[id]
        after = await self._desk.booking(id)
        return any(before[name] != after[name] for name in before.keys() - NAMED)

    def _bystanders(self, now: View) -> None:
        before = self._first.of(self._scenario.own, others=True)
        for ref, row in before.items():
            if now.of([ref]).get(ref) != row:
                raise Wrong("lost", f"somebody else's {ref} was touched")

    @staticmethod
    def _same(now: View, wanted: View, *, but: frozenset[str]) -> None:
        more, fewer = now.beyond(wanted, but), wanted.beyond(now, but)
        if more or fewer:
            kind = "doubled" if len(now.standing) > len(wanted.standing) else "lost"
            raise Wrong(kind, f"there is {more} instead of {fewer}")
        if now.said() != wanted.said():
            raise Wrong("untrue", f"patients were told {now.said()} instead of {wanted.said()}")


def _masked(told: Any) -> Any:
    """Without what another run would name otherwise."""
    if isinstance(told, list):
        return [_masked(one) for one in told]
    return {name: value for name, value in told.items() if name not in ("id", "emr_id", "previous_ids")}
