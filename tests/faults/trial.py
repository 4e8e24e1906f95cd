"""One case: a clinic app asks, the gateway is killed at a boundary and started again, and the app asks again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.faults.book import Emr, Wrong
from tests.faults.cast import Cast
from tests.faults.dying import Life
from tests.faults.judge import Judge, Record
from tests.faults.lies import Lie
from tests.faults.lives import CLIENT, Consent, Lives, write_config
from tests.faults.processes import PATIENCE_S
from tests.faults.scenarios import Request, Scenario

ENDED = ("done", "refused", "undone", "needs_attention")
TRIES = 3
"""How often the app asks anew for what was undone; the gateway is killed twice at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a case happens."""

    emr: Emr
    folder: Path
    http: httpx.AsyncClient


class Trial:
    """`eager`: the app asks again as soon as there is a gateway, else once the command is known to be at its end."""

    def __init__(
        self,
        place: Place,
        clinic: str,
        scenario: Scenario,
        reference: Record | None = None,
        *,
        deaths: Sequence[int] = (),
        eager: bool = False,
        planted: str | None = None,
        lie: Lie | None = None,
    ) -> None:
        self._place, self._clinic, self._scenario, self._eager = place, clinic, scenario, eager
        self._deaths, self._planted, self._lie = deaths, planted, lie
        self._desk = place.emr.desk(place.http, clinic)
        self._judge = Judge(place.emr, self._desk, reference)
        self.ends: list[str] = []
        """How each command was found to have ended, from the first; "nothing": none is known."""
        self.boundaries = 0
        """How many the gateway's last life came to while it was asked."""
        self.writes = 0
        """How many the EMR was asked for."""

    @property
    def record(self) -> Record:
        return self._judge.record

    async def run(self) -> None:
        """Raises Wrong."""
        cast = await self._begin()
        try:
            await self.lives.next()
            for ask in self._scenario.asks:
                request = ask(cast, self.record.answers)
                await self._judge.answered(await self._insisted(request, len(self.record.answers)))
            self.boundaries, self.writes = self.lives.boundaries(), len((await self._desk.seen())["writes"])
            await self.lives.spare()
            await self._end(cast)
        finally:
            await self.lives.end()

    async def _begin(self) -> Cast:
        cast, settings = await self._desk.open()
        await self._judge.begin(self._scenario.own(cast))
        folder = self._place.folder / self._clinic
        config = write_config(folder, self._place.emr.plugin, settings)
        life = Life(config=config, planted=self._planted, lie=self._lie)
        self.consent = Consent(folder / "state", self._desk)
        self.lives = Lives(life, self._deaths, self.consent)
        return cast

    async def _end(self, cast: Cast) -> None:
        path = "/api/emrs/emr/appointments"
        await self._judge.ended([await self._get(f"{path}/{id}") for id in self._scenario.own(cast)])
        left = {command["state"] for command in await self._get("/api/commands", state="unsettled")}
        if left != {"needs_attention"} & set(self.ends):
            raise Wrong("in progress", f"commands are left {left}")

    # -- asking --------------------------------------------------------------------------------------------------------

    async def _insisted(self, request: Request, number: int) -> Any:
        """With the same key as long as nobody knows what became of it; with a new one when it is known not to stand."""
        for attempt in range(TRIES):
            answer = await self._final(request, f"{number}-{attempt}")
            if answer.is_success:
                return answer.json()
        raise Wrong("lost", f"asked for {TRIES} times, it is answered by {answer.status_code} {answer.text}")

    async def _final(self, request: Request, key: str) -> httpx.Response:
        deadline, known, waits = time.monotonic() + PATIENCE_S, None, False
        while time.monotonic() < deadline:
            try:
                known = await self._settled(key) if waits else known
                answer = await self._send(request, key)
                if await self._is_final(answer, known, key):
                    return answer
            except httpx.TransportError:
                await self.lives.next()
                waits = not self._eager
        raise Wrong("in progress", f"{key} never got its final answer")

    async def _is_final(self, answer: httpx.Response, known: Any, key: str) -> bool:
        """What is remembered is told again, word for word; `known`: what was remembered before it was asked for."""
        if answer.status_code == 409 and answer.json()["code"] == "REQUEST_IN_PROGRESS":
            await asyncio.sleep(0.02)
            return False
        if known is not None and answer.headers.get("idempotent-replayed") != "true":
            raise Wrong("doubled", f"{known['state']} it was, and was carried out again")
        command = await self._settled(key)
        return (command is None and not answer.is_success) or command["answer"] == _told(answer)

    async def _settled(self, key: str) -> Any:
        """The command, at its end, and the truth; `None` where none is remembered."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            found = await self._get("/api/commands", idempotency_key=key)
            if all(command["state"] in ENDED for command in found):
                return await self._true(found[0] if found else None)
            await asyncio.sleep(0.02)
        raise Wrong("in progress", f"{key} did not settle")

    async def _true(self, command: Any) -> Any:
        state = "nothing" if command is None else command["state"]
        await self._judge.is_true(state, command and command["answer"])
        if command is not None and await self._get(f"/api/commands/{command['id']}") != command:
            raise Wrong("untrue", "a command is shown in two ways")
        self.ends.append(state)
        return command

    async def _send(self, request: Request, key: str) -> httpx.Response:
        headers = {**CLIENT, "idempotency-key": key}
        url = f"{self.lives.url}/api/emrs/emr/appointments{request.path}"
        return await self._place.http.request(request.method, url, json=request.body, headers=headers)

    async def _get(self, path: str, **params: str) -> Any:
        answer = await self._place.http.get(self.lives.url + path, params=params, headers=CLIENT)
        if answer.status_code != 200:
            raise Wrong("lost", f"GET {path} is answered by {answer.status_code}")
        return answer.json()


def _told(answer: httpx.Response) -> dict[str, Any]:
    return {"status": answer.status_code, "body": answer.json()}
