"""How much one client may ask for: so many requests a second, and so many at a time. The others notice nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.clock import monotonic
from gateway.domain.errors import RateLimited


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one client may ask for."""

    rate: float = 1000.0
    """Requests a second, in the long run."""
    burst: int = 2000
    """Requests at once, after a rest."""
    concurrency: int = 500
    """Requests under way at a time, and as many commands."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Admission:
    """For one process. `own`: by client id, for those who have not the `usual` allowance."""

    def __init__(
        self,
        usual: Allowance,
        own: Mapping[str, Allowance],
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._usual, self._own, self._clock = usual, own, clock
        self._buckets: dict[str, _Bucket] = {}
        self._under_way: Counter[str] = Counter()

    def become(self, usual: Allowance, own: Mapping[str, Allowance]) -> None:
        """From now on. What clients have spent is not forgotten."""
        self._usual, self._own = usual, own

    def allowance(self, client: str) -> Allowance:
        return self._own.get(client, self._usual)

    @contextmanager
    def request(self, client: str) -> Iterator[None]:
        """For as long as a request is under way. Raises RateLimited before anything is done for it."""
        allowed = self.allowance(client)
        if self._under_way[client] >= allowed.concurrency:
            raise RateLimited("Too many requests of this client are under way.", retry_after=1)
        self._spend(client, allowed)
        self._under_way[client] += 1
        try:
            yield
        finally:
            self._under_way[client] -= 1

    def command(self, client: str, running: int) -> None:
        """May one more begin beside the `running` ones? They go on when nobody waits for them any more. Raises
        RateLimited."""
        if running >= self.allowance(client).concurrency:
            raise RateLimited("Too many commands of this client are under way.", retry_after=2)

    def _spend(self, client: str, allowed: Allowance) -> None:
        now = self._clock()
        bucket = self._buckets.setdefault(client, _Bucket(float(allowed.burst), now))
        bucket.left = min(float(allowed.burst), bucket.left + (now - bucket.at) * allowed.rate)
        bucket.at = now
        if bucket.left < 1:
            wait = (1 - bucket.left) / allowed.rate
            raise RateLimited("This client sends more requests than it may.", retry_after=wait)
        bucket.left -= 1
