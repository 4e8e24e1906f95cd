"""What one account of an EMR can do: values, not an enum per vendor.

Declared by the plugin, narrowed by a probe of the account; the planner lowers every command to what is here, so that
plugins stay thin, and `GET /api/emrs` shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from gateway.domain.model import Kind


class Support(StrEnum):
    NATIVE = "native"
    EMULATED = "emulated"
    UNSUPPORTED = "unsupported"


SlotCheck = Literal["emr", "after_write", "off"]
Notifies = Literal["switch", "never", "emr"]
ReasonCodes = frozenset[str] | Literal["any", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """One account's abilities. The defaults describe an EMR that can do nothing."""

    # -- reads -------------------------------------------------------------------------------------------------
    directories: frozenset[Kind] = frozenset()
    """Which directories it can list."""
    lists: bool = False
    """It can list appointments of a resource or patient (`Emr.calendar`)."""
    free_time: Literal["slots", "windows", "none"] = "none"
    """The shape in which it offers free time (`Emr.free_time`)."""
    free_time_by: frozenset[Kind] = frozenset()
    """What must be named for it to be asked: a resource, a service, a care unit."""
    own_time_shown: bool = False
    """Asked to ignore appointments, `free_time` shows their slots as free. Else the gateway adds their time itself."""

    # -- moving ------------------------------------------------------------------------------------------------
    move: Literal["in_place", "new_id", "none"] = "none"
    """How start and end change: same id, one native call with a new id, or only by booking anew and cancelling."""
    reassign: Literal["in_place", "new_id", "none"] = "none"
    """How the resource changes, in the same words."""
    combines: bool = True
    """A write of time or resource may carry the comment along; else the comment is a write of its own."""
    moves_awaiting: bool = False
    """An appointment that waits for its confirmation can be moved too."""
    books_comment: bool = True
    """A booking takes the comment along; else the comment is a write of its own once it stands."""
    refuses_overlap: bool = True
    """It refuses a write onto time that another appointment of the resource holds (in-place shifts need an order)."""
    slots_per_appointment: Literal["one", "many"] = "many"
    """Whether an appointment may take several adjoining slots."""
    slot_records: bool = False
    """Slots are records that the gateway itself must take and give back (`Emr.mark_slot`)."""

    # -- the other writes --------------------------------------------------------------------------------------
    create: bool = False
    discard: bool = False
    """What was just created can be withdrawn without a trace (`Emr.discard`)."""
    cancel: bool = False
    cancel_comment: Literal["with", "before", "none"] = "none"
    """Whether the comment goes with the cancellation, must be written before it, or has no place."""
    cancel_code: bool = False
    """Cancelling may ask the patient for a code; the appointment's `code_to_cancel` says when."""
    comment: bool = False
    """An appointment's comment can be written."""
    comment_max: int | None = None
    """The longest comment, in characters."""
    confirm: Literal["code", "flag", "none"] = "none"
    confirmed_flag: bool = False
    """Appointments tell whether they were confirmed."""

    cancel_reasons: ReasonCodes = "none"
    """The codes that a cancellation can bear as its reason: these, any, or none."""
    notifies: Notifies = "emr"
    """Whether the EMR messages patients about what is written: as each write says, never, or as the EMR likes."""

    # -- several writes as one ---------------------------------------------------------------------------------
    bundle_max: int = 0
    """How many writes it carries out as one, all of them or none (`Emr.bundle`). 0: none."""

    # -- how a write proves itself -----------------------------------------------------------------------------
    answers_with: Literal["appointment", "nothing"] = "appointment"
    """A write's answer holds the appointment as it now is; `nothing`: it must be read back."""
    settles_within_s: float = 0.0
    """Accepted now, written later: how long a write may take to show, in seconds. 0: at once."""
    late_write_s: float = 0.0
    """After a lost answer, how long the write may still come through before it counts as not done, in seconds."""
    version_check: bool = False
    """Writes carry the version read before, and a stale one is refused."""
    trims_comment: bool = False
    """Text comes back without leading and trailing white space, and the plugin calls that equal."""
    joins_lines: bool = False
    """Line breaks come back as spaces, and the plugin calls text equal whose words are."""
    grid_s: int = 0
    """Times are rounded to a grid of so many seconds, and the plugin calls that equal. 0: exact."""

    # -- what can be said to it ----------------------------------------------------------------------------------
    start_unit_s: int = 0
    """A start can be said in whole multiples of so many seconds only; another is refused before it is asked. 0: any."""
    length_unit_s: int = 0
    """The same of a length, where no end is said."""

    # -- limits ------------------------------------------------------------------------------------------------
    local_zone: str | None = None
    """IANA name, where the EMR speaks local time without an offset: the repeated hour can't be said to it."""
    concurrency: int = 8
    """How many calls may be under way at once for one account."""
    min_interval_s: float = 0.0
    """The least time from the beginning of one call to that of the next, in seconds. 0: none."""
    quota: int | None = None
    """Calls known to be allowed per `quota_window_s`; a plan that needs more than are left is refused first."""
    quota_window_s: float = 3600.0
    slot_check: SlotCheck = "emr"
    """Configured per account: ask for free time before, for conflicts after the write, or not at all."""
    notify: bool | None = None
    """Configured per account: may the EMR message patients about what is written? `None`: nothing was said of it."""

    @property
    def guards_time(self) -> bool:
        """Something keeps two appointments from one time, or the account is configured to do without."""
        return self.slot_check != "emr" or self.free_time != "none" or self.lists or self.refuses_overlap

    @property
    def checks_afterwards(self) -> bool:
        """Conflicts are asked for after a write that takes time: as configured, or where nothing else prevents them."""
        if self.slot_check != "emr":
            return self.slot_check == "after_write"
        return self.lists and not (self.refuses_overlap or self.slot_records)

    @property
    def checks(self) -> SlotCheck:
        """When free time is really looked at: before a write only by an EMR that tells it."""
        if self.slot_check == "emr" and self.free_time == "none":
            return "after_write" if self.checks_afterwards else "off"
        return self.slot_check
