"""The proof that a server carries out transactions as a whole or not at all: many say so, and some don't do it.

Tried on two free slots. Whatever a server makes of it, neither slot says anything else afterwards.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from itertools import permutations

import httpx

from gateway.plugin import MaybeDone, Refused, VendorHttp
from plugins.fhir import patches, words
from plugins.fhir.dialects.standard import FHIR_JSON, Sending, patch
from plugins.fhir.problems import resource
from plugins.fhir.transactions import encoded, entries, transaction
from plugins.fhir.words import Json

OVERBOOKED = "overbooked"
"""To leave it out says the same of a slot as `false`, and yet it is a change, of which a server makes a new version.
Many make none of a patch that changes nothing: there it could not be seen whether it was taken back."""


async def proven(http: VendorHttp, base_url: str, found: Sequence[Json]) -> bool:
    """`found`: free slots, as the server shows them. Without two of them it can't be tried, and is not proven.

    Raises EmrError where the server can't be asked now.
    """
    usable = [slot for slot in found if _is_usable(slot)]
    if len(usable) < 2:
        return False
    # Gateways that start together should not try it on the same two.
    return await _Trial(http, base_url).passed(random.sample(usable, 2))


def _is_usable(slot: Json) -> bool:
    return slot.get("status") == "free" and words.version_of(slot) is not None and slot.get(OVERBOOKED) is not True


class _Trial:
    def __init__(self, http: VendorHttp, base_url: str) -> None:
        self._http, self._base_url = http, base_url

    async def passed(self, before: Sequence[Json]) -> bool:
        """A good transaction is carried out; none that must fail leaves anything, whichever entry comes first."""
        if await self._accepts([_saying_the_same(slot) for slot in before]) is not True:
            return False
        after = await self._shown(before)
        if not all(_is_rewritten(slot, was) for slot, was in zip(after, before, strict=True)):
            return False
        for failing in (_over_an_old_version(after[1], before[1]), _testing_in_vain(after[1])):
            for order in permutations((_saying_the_same(after[0]), failing)):
                if await self._accepts(order) is not False:
                    return False
        return await self._shown(after) == after

    async def _accepts(self, sendings: Sequence[Sending]) -> bool | None:
        """`None`: that is not told clearly."""
        try:
            await self._http.write(
                "POST",
                self._base_url,
                lambda response: entries(response, len(sendings)),
                content=encoded(transaction(sendings, self._base_url)),
                headers={"Content-Type": FHIR_JSON},
            )
        except Refused:
            return False
        except MaybeDone:
            return None
        return True

    async def _shown(self, slots: Sequence[Json]) -> list[Json]:
        return await asyncio.gather(
            *(self._http.read(f"/Slot/{slot['id']}", partial(_slot, slot["id"])) for slot in slots)
        )


def _slot(id: str, response: httpx.Response) -> Json:
    body = words.the(resource(response) or {}, "Slot", id)
    words.version_of(body)  # which is asked for later: here what can't be one is the server's fault
    return body


def _saying_the_same(slot: Json) -> Sending:
    return _over(slot, words.version_of(slot))


def _over_an_old_version(slot: Json, older: Json) -> Sending:
    return _over(slot, words.version_of(older))


def _testing_in_vain(slot: Json) -> Sending:
    return patch(f"/Slot/{slot['id']}", words.version_of(slot), [patches.test("/resourceType", "")])


def _over(slot: Json, version: str | None) -> Sending:
    path = f"/{OVERBOOKED}"
    other = patches.drop(path) if OVERBOOKED in slot else patches.put(path, False)
    return patch(f"/Slot/{slot['id']}", version, [patches.test("/status", "free"), other])


def _is_rewritten(now: Json, was: Json) -> bool:
    """A success has been seen where nothing was committed."""
    return words.version_of(now) != words.version_of(was) and (OVERBOOKED in now) is not (OVERBOOKED in was)
