"""Who is asking: a client id and a secret, answered alike and in about the same time whatever is wrong with them.

Generated secrets are kept as keyed hashes: checking one costs microseconds. Secrets that people chose are kept as
argon2 hashes, which cost a tenth of a second and 64 MiB: each is verified once, in a thread, and known from then on
by a keyed hash. Wherever any client has such a secret, every refusal costs as much as verifying one.

Guesses wait in the line of where they come from (`gateway.clients.guesses`); who is known to be right stands in none.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway import clock
from gateway.api import Principal
from gateway.clients.guesses import CHOSEN, GENERATED, Guesses
from gateway.clients.kept import Kept, taken_apart
from gateway.domain.errors import RateLimited, Unauthorized
from gateway.keys import Keys

_PURPOSE = "client-secret"
_REMEMBERED = 1024
_AT_ONCE = 2
_WAITING = 32
"""How many verifications may be under way or wait; a flood of guesses must not queue up without bound."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is kept of a client's secrets; any of them lets it in."""

    hashes: tuple[Kept, ...] = ()
    argon2: tuple[Kept, ...] = ()


_NOBODY = _Known((Kept("hmac", "-" * 64),))
"""Whom there is none of is compared with something, too."""


class Clients:
    """The clients that may call. `secrets`: by client id, as `hmac:…`, `argon2:…` or `plain:…`, and ` until …` where
    they end. `now` is the time, in UTC."""

    def __init__(
        self,
        secrets: Mapping[str, Iterable[str]],
        keys: Keys,
        *,
        guesses: Guesses | None = None,
        now: Callable[[], datetime] = clock.now,
    ) -> None:
        self._keys, self._now = keys, now
        self._clients = {id: _known(id, kept, keys) for id, kept in secrets.items()}
        self._costly = tuple(kept for known in self._clients.values() for kept in known.argon2)
        self._rounds = max((len(known.argon2) for known in self._clients.values()), default=0)
        self._guesses = guesses or Guesses(CHOSEN if self._costly else GENERATED)
        self._remembered: OrderedDict[str, Kept] = OrderedDict()
        self._checking: dict[str, asyncio.Task[Kept | None]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")

    async def authenticate(self, client_id: str | None, client_secret: str | None, source: str = "") -> Principal:
        """`source`: the address that it comes from.

        Raises Unauthorized, the same whatever was wrong; RateLimited when too many guesses come from there, or are
        being checked. Neither says anything of the secret: it was not looked at.
        """
        if client_id and client_secret:
            known = self._clients.get(client_id, _NOBODY)
            digest = client_hash(self._keys, client_id, client_secret)
            if self._is_known(digest, known) or await self._is_guessed(digest, client_secret, known, source):
                return Principal(client_id)
        raise Unauthorized("The client id or the client secret is missing or wrong.")

    def __contains__(self, client_id: object) -> bool:
        """Is there such a client? It is told to nobody who has not proved to be one."""
        return client_id in self._clients

    def followed_by(self, secrets: Mapping[str, Iterable[str]]) -> Clients:
        """Others in their place. Who asked before is still answered; who has guessed too often is still known."""
        others = Clients(secrets, self._keys, guesses=self._guesses, now=self._now)
        self._guesses.become(CHOSEN if others._costly else GENERATED)
        return others

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is_known(self, digest: str, known: _Known) -> bool:
        """Costs microseconds, and waits for nobody."""
        now = self._now()
        if any(Keys.same(digest, kept.value) and kept.is_good(now) for kept in known.hashes):
            return True
        remembered = self._remembered.get(digest)
        if remembered is None or not remembered.is_good(now):
            return False
        self._remembered.move_to_end(digest)
        return True

    async def _is_guessed(self, digest: str, secret: str, known: _Known, source: str) -> bool:
        """Who asks is not known to be right. It takes its turn also where there is nothing to be verified."""
        if digest in self._checking:
            return await self._verified(digest, secret, known)
        await self._guesses.turn(source)
        if not self._rounds or not await self._verified(digest, secret, known):
            return False
        self._guesses.forgive(source)
        return True

    async def _verified(self, digest: str, secret: str, known: _Known) -> bool:
        """Requests with the same secret share one verification, which goes on when one of them hangs up."""
        task = self._checking.get(digest)
        if task is None:
            if len(self._checking) >= _WAITING:
                raise RateLimited("Too many client secrets are being checked.", retry_after=1)
            task = self._checking[digest] = asyncio.create_task(self._verify(digest, secret, known))
            task.add_done_callback(lambda ended: self._ended(digest, ended))
        return await asyncio.shield(task) is not None

    def _ended(self, digest: str, task: asyncio.Task[Kept | None]) -> None:
        del self._checking[digest]
        # Whoever waited may be gone: what it raised (at shutdown) counts as seen.
        _ = task.cancelled() or task.exception()

    async def _verify(self, digest: str, secret: str, known: _Known) -> Kept | None:
        loop, now = asyncio.get_running_loop(), self._now()
        good = tuple(kept for kept in known.argon2 if kept.is_good(now))
        right = await loop.run_in_executor(self._threads, self._compare, _written(secret), good)
        if right is not None:
            self._remembered[digest] = right
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return right

    def _compare(self, secret: bytes, good: tuple[Kept, ...]) -> Kept | None:
        """As many verifications for every client, known or not: the missing ones are of other clients' hashes."""
        right = next((kept for kept in good if _matches(kept.value, secret)), None)
        if right is None:
            for kept in (self._costly * self._rounds)[: self._rounds - len(good)]:
                _matches(kept.value, secret)
        return right


def client_hash(keys: Keys, client_id: str, secret: str) -> str:
    """What is kept of a generated secret: worth nothing to whoever reads the file without the master key."""
    return keys.hmac(_PURPOSE, client_id, secret)


def lets_in(keys: Keys, client_id: str, secret: str, kept: Iterable[str], now: datetime) -> bool:
    """For a person at the command line, whom nobody hurries: is it one of these secrets?"""
    known = _known(client_id, kept, keys)
    digest = client_hash(keys, client_id, secret)
    return any(Keys.same(digest, one.value) and one.is_good(now) for one in known.hashes) or any(
        _matches(one.value, _written(secret)) and one.is_good(now) for one in known.argon2
    )


def _known(id: str, secrets: Iterable[str], keys: Keys) -> _Known:
    all = [taken_apart(text) for text in secrets]
    hashes = [replace(k, value=client_hash(keys, id, k.value)) if k.kind == "plain" else k for k in all]
    return _Known(
        tuple(kept for kept in hashes if kept.kind != "argon2"), tuple(kept for kept in all if kept.kind == "argon2")
    )


def _matches(phc: str, secret: bytes) -> bool:
    try:
        return PasswordHasher().verify(phc, secret)
    except (VerificationError, InvalidHashError):
        return False


def _written(secret: str) -> bytes:
    """The bytes that a client sent: header values reach us as Latin-1, whatever was meant."""
    try:
        return secret.encode("latin-1")
    except UnicodeEncodeError:
        return secret.encode()
