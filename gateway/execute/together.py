"""Several works at the same time, none of which goes on alone when another one fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def together(*works: Awaitable[T]) -> list[T]:
    """What each gave, in order. Where one raised, that is raised, but only when all have ended: whoever is told of it
    may rely on nothing being written any more."""
    ended = await asyncio.gather(*works, return_exceptions=True)
    results = []
    for end in ended:
        if isinstance(end, BaseException):
            raise end
        results.append(end)
    return results
