"""What a server turns out to do: statements can't be trusted with it, so it is tried, or seen in what it answers."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from gateway.plugin import MaybeDone, NotSent, Refused, VendorHttp
from plugins.fhir.declared import JSON_PATCH
from plugins.fhir.patches import Op, test

NEVER = {True: "0", False: "00000000-0000-0000-0000-000000000000"}
"""A version that no resource has, where versions are numbers and where they are not."""


@dataclass(slots=True)
class Learned:
    """`None`: not known yet."""

    chains: bool | None = None
    """`Slot?schedule.actor=` finds what it should."""
    if_match: bool | None = None
    """A PATCH over an old version is refused. Where it is not, each patch tests the version itself."""
    transacts: bool | None = None
    """A transaction is carried out as a whole or not at all."""

    async def lock(self, http: VendorHttp, kind: str, id: str, version: str | None) -> None:
        """Find out by a patch that changes nothing wherever it leads: its condition is false, and its test fails.

        Raises Refused("unsupported") where a server takes it all the same: nothing would protect what is there.
        """
        if self.if_match is not None or version is None:
            return
        headers = {"Content-Type": JSON_PATCH, "If-Match": f'W/"{NEVER[version.isdecimal()]}"'}
        try:
            await http.read(f"/{kind}/{id}", _done, method="PATCH", json=[test("/resourceType", "")], headers=headers)
        except Refused as no:
            if no.reason in ("stale", "invalid"):
                self.if_match = no.reason == "stale"
        except MaybeDone as lost:
            raise NotSent("whether the server heeds versions could not be tried", emr_code=lost.emr_code) from lost
        else:
            raise Refused("unsupported", "the server heeds neither If-Match nor the tests of a patch")

    def guard(self, version: str | None) -> list[Op]:
        """What goes ahead of the other operations of a patch."""
        return [test("/meta/versionId", version)] if self.if_match is False and version is not None else []


def _done(response: httpx.Response) -> None:
    """Only the status counts."""
