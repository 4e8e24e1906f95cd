"""The port: what an EMR must answer (`Emr`), and how a plugin introduces itself (`Vendor`).

Every write is exactly one HTTP write, so that the ledger knows what may have happened; what needs two is two steps.
Reads may take as many requests as the vendor needs (pages, one per id).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel

from gateway.domain.capabilities import Capabilities
from gateway.domain.editions import STANDARD, Edition
from gateway.domain.model import Appointment, Entry, FreeTime, Kind, Slot, Status
from gateway.domain.questions import FindFreeTime, ReadCalendar
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, MarkSlot, Receipt, Step

if TYPE_CHECKING:
    from gateway.vendor.consent import Consent, Grant
    from gateway.vendor.http import Door

PLUGIN_API = 1
"""The version of this port. A plugin that speaks another one is refused with a sentence."""


class EmrError(Exception):
    """What went wrong at an EMR, by what it means for a write.

    EmrError
    ├─ NotSent     certainly never reached it: may be sent again; `retry_after` s, if it is known when
    ├─ Throttled   it said "later" (429): not executed, may be sent again after `retry_after` s
    ├─ Refused     it answered no: certainly not executed; `reason` says why
    └─ MaybeDone   a write may or may not have been executed; a read failed or made no sense

    `emr_code` is the EMR's own short error code, never its prose.
    """

    def __init__(self, what: str = "", *, emr_code: str | None = None) -> None:
        super().__init__(what)
        self.emr_code = emr_code


class NotSent(EmrError):
    def __init__(self, what: str = "", *, emr_code: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(what, emr_code=emr_code)
        self.retry_after = retry_after


class Throttled(EmrError):
    """`locked`: it holds what the request is about, and nothing else; otherwise all calls of the account wait."""

    def __init__(
        self,
        what: str = "",
        *,
        emr_code: str | None = None,
        retry_after: float | None = None,
        locked: bool = False,
    ) -> None:
        super().__init__(what, emr_code=emr_code)
        self.retry_after = retry_after
        self.locked = locked


Reason = Literal[
    "not_found",  # no such record
    "taken",  # the time or slot is not free any more
    "stale",  # the version that we wrote over is not the newest
    "state",  # the appointment's status forbids it
    "rule",  # a rule of the EMR's own (too late to cancel, ...)
    "invalid",  # it did not accept a value
    "wrong_code",  # the confirmation code is wrong
    "expired_code",  # the confirmation code is expired or used up
    "credentials",  # it refused our credentials
    "unsupported",  # it can't do that
]


class Refused(EmrError):
    def __init__(self, reason: Reason, what: str = "", *, emr_code: str | None = None) -> None:
        super().__init__(what or reason, emr_code=emr_code)
        self.reason: Reason = reason


class MaybeDone(EmrError):
    def __init__(self, what: str = "", *, emr_code: str | None = None, timed_out: bool = False) -> None:
        super().__init__(what, emr_code=emr_code)
        self.timed_out = timed_out


def in_the_way(other: Appointment, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
    """Does it, at the same place, keep an appointment from its time? `ignoring`: ids of those that don't."""
    return (
        other.id not in (appointment.id, *ignoring)
        and other.status is not Status.CANCELLED
        and other.confirms is None
        and other.span.overlaps(appointment.span)
    )


class Emr:
    """One account of one EMR. A plugin subclasses it and overrides what its capabilities declare; the rest refuses.

    Times that it returns are aware, in the care unit's zone. Methods raise `EmrError` and nothing else: `VendorHttp`
    sees to that for transport, status and parsing.
    """

    def __init__(self, capabilities: Capabilities, tenant: str, edition: str = STANDARD) -> None:
        self.capabilities = capabilities
        """What the account can do: no more than its edition."""
        self.tenant = tenant
        """Names the EMR behind the account (base URL and practice): two accounts with one tenant share locks."""
        self.edition = edition
        """Which of its vendor's editions the account is."""

    # -- reads -------------------------------------------------------------------------------------------------

    async def appointment(self, id: str) -> Appointment | None:
        """One appointment (or a request that waits for a code) by the EMR's id; `None` where there is none.

        A plugin overrides this or `appointments`, or both.
        """
        if type(self).appointments is Emr.appointments:
            raise Refused("unsupported")
        return (await self.appointments([id]))[id]

    async def appointments(self, ids: Sequence[str]) -> Mapping[str, Appointment | None]:
        """Many at once: one by one unless the EMR has a list for it."""
        found = await asyncio.gather(*(self.appointment(id) for id in ids))
        return dict(zip(ids, found, strict=True))

    async def calendar(self, wanted: ReadCalendar) -> Sequence[Appointment]:
        """The appointments that overlap a span. Capability `lists`."""
        raise Refused("unsupported")

    async def free_time(self, wanted: FindFreeTime) -> FreeTime:
        """What can be booked. Capability `free_time`."""
        raise Refused("unsupported")

    async def directory(self, kind: Kind) -> Sequence[Entry]:
        """All care units, resources, services or patients. Capability `directories`."""
        raise Refused("unsupported")

    async def look_up(self, kind: Kind, id: str) -> Entry | None:
        """One entry of a directory; override where the EMR can be asked for one."""
        return next((e for e in await self.directory(kind) if e.id == id), None)

    async def resolve(self, kind: Kind, id_type: str, value: str) -> str | None:
        """The EMR's id for an identifier of another type (`se_personal_number`, ...); `None`: unknown."""
        raise Refused("unsupported")

    async def conflicts(self, appointment: Appointment, ignoring: Sequence[str] = ()) -> bool:
        """Does another appointment of its resource overlap it? Asked after the write where nothing refuses it.

        `ignoring`: the ids of those that overlap it and that the command is about to cancel.
        """
        others = await self.calendar(ReadCalendar(appointment.span, resource_id=appointment.resource_id))
        return any(in_the_way(other, appointment, ignoring) for other in others)

    async def find_own(self, step: Create | Change) -> Appointment | None:
        """After a lost answer of a step that makes a new id: the appointment that it made, or `None`.

        A `Create` is known by its marker; a `Change` with `new_id` by the old appointment's link to its successor.
        """
        raise Refused("unsupported")

    async def slot(self, slot: Slot) -> tuple[Literal["busy", "free"], Slot] | None:
        """How a slot record stands now, with its version. Capability `slot_records`."""
        raise Refused("unsupported")

    async def probe(self) -> Capabilities:
        """One cheap read that proves credentials and reach; may narrow the declared capabilities.

        What needs more proof than that (`bundle_max`) an account has only from here on.
        """
        return self.capabilities

    # -- writes: exactly one HTTP write each ---------------------------------------------------------------------

    async def change(self, step: Change) -> Receipt:
        raise Refused("unsupported")

    async def create(self, step: Create) -> Receipt:
        raise Refused("unsupported")

    async def cancel(self, step: Cancel) -> Receipt:
        raise Refused("unsupported")

    async def confirm(self, step: Confirm) -> Receipt:
        raise Refused("unsupported")

    async def discard(self, step: Discard) -> Receipt:
        raise Refused("unsupported")

    async def mark_slot(self, step: MarkSlot) -> Receipt:
        raise Refused("unsupported")

    async def bundle(self, steps: Sequence[Step]) -> Sequence[Receipt]:
        """All of the steps by one HTTP write, and a receipt for each in their order. Capability `bundle_max`.

        What it raises is about the whole: `Refused` means that nothing of it was done, `MaybeDone` that of no step it
        is known. Only for an EMR of which it was proved, not merely said, that it carries out all or nothing.
        """
        raise Refused("unsupported")


class BadAccount(ValueError):
    """What an account is configured with does not fit together. `emr_open` raises it, with a sentence for whoever has
    written the configuration, which quotes no value."""


@dataclass(frozen=True, slots=True)
class Account:
    """One EMR account of one client, as its plugin gets it: validated settings and a door to the network."""

    key: str
    """The `{emr}` of the routes."""
    settings: BaseModel
    door: Door
    """Opens the one HTTP client for this account (`door.http(...)`)."""
    notify: bool | None = None
    """May the EMR message patients about what is written? `None`: as it does by itself."""

    cancel_reason: str | None = None
    """The code that its cancellations bear, one of the capability `cancel_reasons`; `None`: the plugin's own."""

    grant: Grant | None = None
    """What its owner has granted; there if the vendor's `consent` asks for it."""

    def tells(self, step: Change | Create | Cancel | Confirm | Discard) -> bool | None:
        """What goes along with a write where the EMR has a switch (capability `notifies`): may it message the patient
        about this? `None`: say nothing."""
        return False if step.quiet else self.notify


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """How a plugin introduces itself: all that is known before an account is opened."""

    key: str
    """A slug, equal to the entry point's name; what `plugin = "..."` says in a clients file."""
    name: str
    settings: type[BaseModel]
    emr: type[Emr]
    """The port's implementation, so that what is declared can be held against what is implemented."""
    capabilities: Capabilities
    """The most that any account can do."""
    editions: tuple[Edition, ...] = ()
    """The kinds of account there are. Without any there is one, `standard`, which can do all of `capabilities`."""
    api: int = PLUGIN_API
    embedded: Callable[[Path], Any] | None = None
    """An ASGI app that *is* the EMR, given the state directory: reached in-process, for demonstrations."""
    consent: Callable[[Any], Consent | None] | None = None
    """From an account's validated settings: how its owner is asked to let the gateway in; `None`: there is no need."""

    @property
    def comes_in(self) -> tuple[Edition, ...]:
        """Its editions, one at least."""
        return self.editions or (Edition(title=self.name, capabilities=self.capabilities),)

    def edition(self, name: str) -> Edition | None:
        return next((edition for edition in self.comes_in if edition.name == name), None)
