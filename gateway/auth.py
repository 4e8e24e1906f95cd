"""Who is asking: a client id and a secret, answered alike and in about the same time whatever is wrong with them.

Generated secrets are kept as keyed hashes: checking one costs microseconds. Secrets that people chose are kept as
argon2 hashes, which cost a tenth of a second and 64 MiB: each is verified once, in a thread, and known from then on
by a keyed hash. Wherever any client has such a secret, every refusal costs as much as verifying one.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gateway.api import Principal
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

    hashes: tuple[str, ...] = ()
    argon2: tuple[str, ...] = ()


class Clients:
    """The clients that may call. `secrets`: by client id, as `hmac:…`, `argon2:…` or `plain:…`."""

    def __init__(self, secrets: Mapping[str, Iterable[str]], keys: Keys) -> None:
        self._keys = keys
        self._clients = {id: _known(id, kept, keys) for id, kept in secrets.items()}
        self._costly = tuple(phc for known in self._clients.values() for phc in known.argon2)
        self._rounds = max((len(known.argon2) for known in self._clients.values()), default=0)
        self._remembered: OrderedDict[str, None] = OrderedDict()
        self._checking: dict[str, asyncio.Task[bool]] = {}
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="argon2")

    async def authenticate(self, client_id: str | None, client_secret: str | None) -> Principal:
        """Raises Unauthorized, the same whatever was wrong; RateLimited when too many guesses are being checked."""
        if client_id and client_secret:
            known = self._clients.get(client_id, _Known())
            if await self._is_right(client_id, client_secret, known):
                return Principal(client_id)
        raise Unauthorized("The client id or the client secret is missing or wrong.")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _is_right(self, id: str, secret: str, known: _Known) -> bool:
        digest = client_hash(self._keys, id, secret)
        # Against one hash at least, also for a client that there is none of.
        if any(Keys.same(digest, kept) for kept in known.hashes or ("",)):
            return True
        if digest in self._remembered:
            self._remembered.move_to_end(digest)
            return True
        return self._rounds > 0 and await self._verified(digest, secret, known)

    async def _verified(self, digest: str, secret: str, known: _Known) -> bool:
        """Requests with the same secret share one verification, which goes on when one of them hangs up."""
        task = self._checking.get(digest)
        if task is None:
            if len(self._checking) >= _WAITING:
                raise RateLimited("Too many client secrets are being checked.", retry_after=1)
            task = self._checking[digest] = asyncio.create_task(self._verify(digest, secret, known))
            task.add_done_callback(lambda ended: self._ended(digest, ended))
        return await asyncio.shield(task)

    def _ended(self, digest: str, task: asyncio.Task[bool]) -> None:
        del self._checking[digest]
        # Whoever waited may be gone: what it raised (at shutdown) counts as seen.
        _ = task.cancelled() or task.exception()

    async def _verify(self, digest: str, secret: str, known: _Known) -> bool:
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, self._compare, _written(secret), known.argon2)
        if right:
            self._remembered[digest] = None
            while len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        return right

    def _compare(self, secret: bytes, kept: tuple[str, ...]) -> bool:
        """As many verifications for every client, known or not: the missing ones are of other clients' hashes."""
        if any(_matches(phc, secret) for phc in kept):
            return True
        for phc in (self._costly * self._rounds)[: self._rounds - len(kept)]:
            _matches(phc, secret)
        return False


def client_hash(keys: Keys, client_id: str, secret: str) -> str:
    """What is kept of a generated secret: worth nothing to whoever reads the file without the master key."""
    return keys.hmac(_PURPOSE, client_id, secret)


def _known(id: str, kept: Iterable[str], keys: Keys) -> _Known:
    hashes: list[str] = []
    argon2: list[str] = []
    for secret in kept:
        kind, _, value = secret.partition(":")
        match kind:
            case "argon2":
                argon2.append(value)
            case "plain":
                hashes.append(client_hash(keys, id, value))
            case _:
                hashes.append(value)
    return _Known(tuple(hashes), tuple(argon2))


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
