"""Each entry vouches for all before it; whoever has the key finds where that ends.

An entry's MAC covers its number, its bytes and the MAC of the one before it. Two ends are kept beside the entries,
each with a seal of its own: the `head`, which is the newest entry, so that none can be cut off, and the `anchor`, the
newest one that was forgotten by its age, so that none can be cut off there but by the gateway.

What no key can show is that everything is of an earlier day, ends and all, as after a back-up was put back. For that
a head has to be kept elsewhere: the gateway logs one every hour, and `verify` compares.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway.audit import Mark
from gateway.keys import Keys

End = Literal["anchor", "head"]

NOTHING = Mark(0, bytes(32))


@dataclass(frozen=True, slots=True)
class Link:
    """An entry as it is stored."""

    number: int
    body: bytes
    """JSON, sealed for its number: the chain is held against what is stored."""
    mac: bytes

    @property
    def mark(self) -> Mark:
        return Mark(self.number, self.mac)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An end as it is stored."""

    mark: Mark
    seal: bytes


class Broken(Exception):
    """The record is not what the gateway wrote. The text names the first entry of which that is known."""


class Chain:
    """The arithmetic, with the gateway's key."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def after(self, before: Mark, body: bytes) -> Link:
        """The entry that follows."""
        number = before.number + 1
        return Link(number, body, self._mac("audit", _bytes(number), before.mac, body))

    def sealed(self, end: End, mark: Mark) -> Sealed:
        return Sealed(mark, self._mac("audit.end", end.encode(), _bytes(mark.number), mark.mac))

    def holds(self, end: End, found: Sealed | None) -> bool:
        """Is it an end that the gateway has written?"""
        return found is not None and self._keys.same(self.sealed(end, found.mark).seal, found.seal)

    def follows(self, before: Mark, link: Link) -> bool:
        return self._keys.same(self.after(before, link.body).mac, link.mac)

    def _mac(self, purpose: str, *parts: bytes) -> bytes:
        return bytes.fromhex(self._keys.hmac(purpose, *parts))


def _bytes(number: int) -> bytes:
    return number.to_bytes(16, "big", signed=True)


class Walk:
    """Goes along the chain. `at` is how far it was found whole, `passed` whether the mark looked for was met."""

    def __init__(self, chain: Chain, anchor: Sealed | None, head: Sealed | None, wanted: str | None = None) -> None:
        """`wanted`: a mark that was logged at some time, and has to lie on the way. Raises Broken."""
        if anchor is None or not chain.holds("anchor", anchor):
            raise Broken("The beginning of the record (its anchor) is missing or was altered.")
        self._chain, self._head, self._wanted = chain, head, wanted
        self.anchor = self.at = anchor.mark
        self.passed = wanted is None or str(anchor.mark) == wanted

    def step(self, link: Link) -> None:
        """Raises Broken where it does not follow."""
        expected = self.at.number + 1
        if link.number > expected:
            raise Broken(f"Entry {expected} is missing.")
        if link.number < expected or not self._chain.follows(self.at, link):
            raise Broken(f"Entry {link.number} was altered, or was not written by the gateway.")
        self.at = link.mark
        self.passed = self.passed or str(self.at) == self._wanted

    def end(self) -> Mark:
        """Nothing follows any more. Raises Broken where something should."""
        head, at = self._head, self.at
        if head is None or not self._chain.holds("head", head):
            raise Broken(f"The end of the record (its head, after entry {at.number}) is missing or was altered.")
        if head.mark.number > at.number:
            raise Broken(f"Entry {at.number + 1} is missing, and all up to {head.mark.number}.")
        if head.mark != at:
            raise Broken(f"Entry {head.mark.number + 1} follows an end of the record that is older than it.")
        if not self.passed:
            raise Broken(self._unmet())
        return at

    def _unmet(self) -> str:
        number = int((self._wanted or "0").partition(":")[0])
        if number < self.anchor.number:
            return f"Entry {number} was forgotten by its age; the head that was given can't be compared any more."
        if number > self.at.number:
            return f"Entry {self.at.number + 1} is missing, and all up to {number}, which is known by the head given."
        return f"Entry {number} is not the one that the head given knows."


def verified(
    chain: Chain, anchor: Sealed | None, links: Iterable[Link], head: Sealed | None, wanted: str | None = None
) -> Mark:
    """→ the newest entry. Raises Broken."""
    walk = Walk(chain, anchor, head, wanted)
    for link in links:
        walk.step(link)
    return walk.end()
