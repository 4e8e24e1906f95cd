"""The one who refreshes a grant: for all calls of an account, one refresh at a time, and no token is used twice.

Before a refresh is sent, that is written down; its answer is written down before it is used. What was sent and not
answered, also by a process that was killed, may have spent the refresh token: then nobody tries it again, and somebody
has to let the gateway in anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Literal

import httpx

from gateway.clock import monotonic
from gateway.configuration.references import GRANT
from gateway.credentials import CantOpen
from gateway.credentials.store import Account, Store
from gateway.port import EmrError, NotSent, Refused, Throttled
from gateway.vendor.answer import SENSELESS
from gateway.vendor.consent import TIMEOUT_S, Consent, Send, Tokens
from gateway.vendor.limits import retry_after
from gateway.vendor.transport import NOT_SENT

log = logging.getLogger("gateway.credentials")

LOST = "the answer to a refresh was lost: connect anew"
_AGAIN_S = 1.0
_MARGIN_S = 60.0
_BUSY = frozenset({429, 503})
"""Answers that say that nothing was carried out."""

State = Literal["good", "refreshing", "refused"]


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant as it is stored."""

    refresh_token: str
    state: State = "good"

    def dump(self) -> str:
        return json.dumps({"refresh_token": self.refresh_token, "state": self.state})

    @classmethod
    def load(cls, text: str) -> Granted:
        told = json.loads(text)
        return cls(told["refresh_token"], told["state"])

    def __repr__(self) -> str:
        return f"Granted({self.state})"


@dataclass(frozen=True, slots=True)
class _Held:
    access: str = field(repr=False)
    good_until: float


class Refresher:
    """`gateway.vendor.consent.Grant` of one account. `data_key` opens it in the store; it may become another one."""

    def __init__(self, store: Store, at: Account, data_key: bytes, *, clock: Callable[[], float] = monotonic) -> None:
        self._store, self._at, self.data_key, self._clock = store, at, data_key, clock
        self._held: _Held | None = None
        self._task: asyncio.Task[str] | None = None
        self._failed: tuple[str, EmrError] | None = None
        """Which grant, as it was stored, and why nothing can be had for it any more."""

    def __repr__(self) -> str:
        return "Refresher()"

    async def token(self, consent: Consent, send: Send, instead_of: str | None = None) -> str:
        held = self._held
        if held is not None and held.access != instead_of and self._clock() < held.good_until:
            return held.access
        if self._task is None:
            self._task = asyncio.create_task(self._refreshed(consent, send))
            self._task.add_done_callback(self._ended)
        try:
            # Whoever waits may give up; the refresh goes on.
            return await asyncio.shield(self._task)
        except EmrError as error:
            raise copy(error) from None

    async def drain(self, seconds: float) -> None:
        """Let a refresh that is under way end."""
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=seconds)

    def _ended(self, task: asyncio.Task[str]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # whoever waited may be gone

    async def _refreshed(self, consent: Consent, send: Send) -> str:
        while True:
            before = await self._stored()
            if self._failed is not None and self._failed[0] == before:
                raise self._failed[1]
            granted = Granted.load(before)
            self._usable(granted, consent, before)
            marked = replace(granted, state="refreshing").dump() if consent.rotates else before
            if marked == before or await self._swapped(before, marked):
                tokens = await self._asked(consent, send, granted, marked)
                if tokens is not None:
                    return tokens.access
            # Somebody has connected anew meanwhile: what is stored now counts.

    def _usable(self, granted: Granted, consent: Consent, before: str) -> None:
        if granted.state == "refused":
            raise self._fail(before, Refused("credentials", "what was granted is not taken any more: connect anew"))
        if granted.state == "refreshing" and consent.rotates:
            raise self._fail(before, Refused("credentials", LOST))

    async def _asked(self, consent: Consent, send: Send, granted: Granted, marked: str) -> Tokens | None:
        """`None`: it is not what is stored any more."""
        form = {"grant_type": "refresh_token", "refresh_token": granted.refresh_token}
        try:
            async with asyncio.timeout(TIMEOUT_S):
                answer = await send(consent.request(form))
                await answer.aread()
            return await self._taken(answer, granted, marked)
        except NOT_SENT as error:
            await self._swapped(marked, granted.dump())
            raise NotSent(f"no login: not sent ({type(error).__name__})") from None
        except (httpx.HTTPError, OSError) as error:
            raise self._lost(consent, marked, type(error).__name__) from None
        except SENSELESS as error:
            raise self._lost(consent, marked, type(error).__name__) from None

    async def _taken(self, answer: httpx.Response, granted: Granted, marked: str) -> Tokens | None:
        if answer.is_success:
            tokens = Tokens.of(answer)
            after = Granted(tokens.refresh or granted.refresh_token).dump()
            # Durable before the access token that it replaces is dropped.
            if marked != after and not await self._swapped(marked, after):
                return None
            margin = min(_MARGIN_S, tokens.life_s / 5)
            self._held = _Held(tokens.access, self._clock() + tokens.life_s - margin)
            return tokens
        raise await self._refusal(answer, granted, marked)

    async def _refusal(self, answer: httpx.Response, granted: Granted, marked: str) -> Exception:
        status = answer.status_code
        said = f"no login: the refresh was answered with {status}"
        if status in _BUSY:
            await self._swapped(marked, granted.dump())
            return Throttled(said, retry_after=retry_after(answer)) if status == 429 else NotSent(said)
        if not 400 <= status < 500:
            return httpx.HTTPError(said)  # nobody knows whether it was carried out
        spent = _code(answer) == "invalid_grant"
        after = replace(granted, state="refused" if spent else "good").dump()
        await self._swapped(marked, after)
        error = Refused("credentials", f"{said}: connect anew" if spent else said)
        return self._fail(after, error) if spent else error

    def _lost(self, consent: Consent, marked: str, what: str) -> EmrError:
        if not consent.rotates:
            return NotSent(f"no login: the refresh was not answered ({what})")
        log.error("EMR %s of client %s: %s (%s)", self._at.emr, self._at.client, LOST, what)
        return self._fail(marked, Refused("credentials", LOST))

    def _fail(self, stored: str, error: EmrError) -> EmrError:
        self._failed = stored, error
        return error

    async def _stored(self) -> str:
        try:
            found = await asyncio.to_thread(self._store.credentials, self._at, self.data_key)
        except CantOpen:
            raise NotSent("no login: what was granted can't be opened just now") from None
        if GRANT not in found:
            raise Refused("credentials", "nothing was granted: connect first")
        return found[GRANT]

    async def _swapped(self, before: str, after: str) -> bool:
        """A store that can't be written is waited for: what it is to hold would be lost."""
        while True:
            try:
                return await asyncio.to_thread(self._store.swap, self._at, self.data_key, GRANT, before, after)
            except CantOpen as error:
                log.error(
                    "EMR %s of client %s: what is granted can't be stored: %s", self._at.emr, self._at.client, error
                )
                await asyncio.sleep(_AGAIN_S)


def _code(answer: httpx.Response) -> object:
    try:
        return answer.json()["error"]
    except (ValueError, LookupError, TypeError):
        return None
