"""Bodies of answers, as models: what is sent is what `/openapi.json` says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from gateway.domain.capabilities import Notifies, SlotCheck, Support
from gateway.domain.editions import Tested as Way
from gateway.domain.model import Kind, Status
from gateway.domain.steps import Chained
from gateway.ledger import State, StepState

_TIME: JsonDict = {"format": "date-time"}


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Appointment(_Answer):
    """An appointment as the EMR has it."""

    id: str | None = Field(description="`null` only on a dry run, for one that would be created.")
    emr_id: str | None = Field(description="The id in the EMR.")
    start: str = Field(json_schema_extra=_TIME, description="With the care unit's offset.")
    end: str = Field(json_schema_extra=_TIME, description="With the care unit's offset.")
    status: Status
    confirmed: bool | None = Field(description="`null` where the EMR has no such thing.")
    comment: str | None
    patient_id: str | None
    resource_id: str | None
    healthcare_service_id: str | None
    care_unit_id: str | None
    previous_ids: list[str] = Field(
        description="Earlier ids of the same appointment, oldest first; they go on working."
    )


class ChangedAppointment(Appointment):
    """One appointment of the answer to a bulk write."""

    change: Chained = Field(description="What the command did to it.")


class Slot(_Answer):
    """A free time slot."""

    start: str = Field(json_schema_extra=_TIME)
    end: str = Field(json_schema_extra=_TIME)
    resource_id: str | None
    healthcare_service_id: str | None
    care_unit_id: str | None


class Entry(_Answer):
    """A care unit, resource, healthcare service or patient that exists."""

    id: str
    name: str
    care_unit_id: str | None


class UpdateFields(_Answer):
    start_end: Support
    resource_id: Support
    comment: Support


class BulkUpdateFields(_Answer):
    """With `start` and `end` it is a continuous reschedule."""

    resource_id: Support
    comment: Support


class CancelFields(_Answer):
    status: Support
    comment: Support


class RescheduleFields(_Answer):
    start_end: Support
    resource_id: Support
    comment: Support
    more: Support = Field(description="A range longer than the appointments: further ones are created.")
    fewer: Support = Field(description="A shorter one: the surplus is cancelled.")


class CreateFields(_Answer):
    booking: Support
    comment: Support


class Reads(_Answer):
    appointment: Support
    appointments: Support
    timeslots: Support
    care_units: Support
    resources: Support
    healthcare_services: Support
    patients: Support


class Guards(_Answer):
    """What keeps a write safe."""

    dry_run: Support
    idempotency_key: Support
    if_match: Support


class Facts(_Answer):
    """What a client may want to know about this EMR before it shows a form."""

    slot_check: SlotCheck = Field(
        description="When the gateway itself looks whether a time is free: before the write, after it, or never."
    )
    free_time: Literal["slots", "windows", "none"] = Field(description="The shape of its free time.")
    free_time_by: list[Kind] = Field(description="What must be named for its free time to be told.")
    slots_per_appointment: Literal["one", "many"] = Field(description="How many slots an appointment may take.")
    ids_stable: bool = Field(description="`false`: a moved appointment gets a new id (the old one goes on working).")
    version_check: bool = Field(description="The EMR itself refuses a write over what somebody else has changed.")
    confirmation: Literal["code", "flag", "none"] = Field(description="How an appointment is confirmed.")
    cancel_code: bool = Field(
        description="Cancelling may ask the patient for a code; what it is asked for can't be moved by booking anew."
    )
    comment_max: int | None = Field(description="The longest comment, in characters.")
    moves_awaiting: bool = Field(description="An appointment that awaits its confirmation can be moved.")
    cancel_reasons: Literal["coded", "none"] = Field(
        description="`coded`: a cancellation bears a reason code in the EMR, which the account is configured with."
    )
    notifies: Notifies = Field(
        description="Whether the EMR messages patients about what is written: `switch`, as `notify` says; `never`; "
        "`emr`, as it likes."
    )
    notify: bool | None = Field(
        description="Whether it may. Also with `true` it is silent about a command that could still be undone half-way "
        "(several appointments moved or booked by one). `null`: not configured, so the EMR does as it is used to."
    )
    settles_within_s: float = Field(description="How long an accepted write may take to show, in seconds.")
    start_unit_s: int = Field(description="An appointment starts at whole multiples of so many seconds. `0`: any time.")
    length_unit_s: int = Field(description="Its length is a whole multiple of so many seconds. `0`: any length.")
    bundle_max: int = Field(
        description="How many writes the EMR carries out as one, all or none, as was proved on this account. `0`: each "
        "is sent by itself, and undone if a later one fails."
    )


class Capabilities(_Answer):
    """`native`: the EMR does it; `emulated`: the gateway does it with what the EMR has; `unsupported`: refused."""

    update: UpdateFields
    cancel: CancelFields
    confirm: Support
    create: CreateFields
    bulk_update: BulkUpdateFields
    bulk_cancel: CancelFields
    continuous_reschedule: RescheduleFields
    reads: Reads
    guards: Guards
    facts: Facts


class Tested(_Answer):
    """`live`: against a real server that somebody else wrote; `document`: against a fake that was written from the
    vendor's documents; `own`: against the EMR itself, which is the gateway's; `null`: unsupported."""

    against: str = Field(description="Which server and version, or whose documents; for people to read.")
    update: Way | None
    cancel: Way | None
    confirm: Way | None
    create: Way | None
    bulk_update: Way | None
    bulk_cancel: Way | None
    continuous_reschedule: Way | None
    reads: Way | None


class Account(_Answer):
    """One EMR account of the caller."""

    key: str = Field(description="The `{emr}` of the paths.")
    plugin: str
    name: str
    edition: str = Field(description="Which kind of account it is, of those that its plugin knows.")
    standing: Literal["reachable", "waiting", "unreachable"] = Field(
        description="`reachable`: its EMR is called as usual. `waiting`: later, by the EMR's own word. `unreachable`: "
        "it has not answered lately and is left alone for a moment, so that commands and reads are refused at once."
    )
    capabilities: Capabilities = Field(
        description="Maybe less than its edition's: by its settings, or by what it told."
    )
    tested: Tested = Field(description="How each operation of its edition was tested, with the usual settings.")


class CommandAnswer(_Answer):
    """What the client was, or will be, told."""

    status: int
    body: Any


class CommandStep(_Answer):
    action: str
    appointment_id: str | None
    state: StepState


class Command(_Answer):
    """What became of a command."""

    id: str
    state: State
    operation: str
    emr: str
    created_at: str = Field(json_schema_extra=_TIME)
    updated_at: str = Field(json_schema_extra=_TIME)
    answer: CommandAnswer | None
    steps: list[CommandStep]
    unsettled: list[CommandStep] = Field(
        description="The steps that can still end this way or that, and those of which the EMR stored something else."
    )


class ErrorItem(_Answer):
    error_code: str
    details: str
    emr_error: str | None = Field(description="The EMR's own error code.")
    path: str | None = Field(
        description="A place in the request (`ids/2`, `body/start`, `query/end`, `header/if-match`) or an appointment."
    )


class ErrorAnswer(_Answer):
    """RFC 9457 problem details."""

    code: str
    type: str = Field(description="A page about this code.", json_schema_extra={"format": "uri"})
    title: str
    status: int
    detail: str
    instance: str = Field(description="Names this very answer, also in the log.", json_schema_extra={"format": "uuid"})
    errors: list[ErrorItem]


class Health(_Answer):
    status: str


class RunningConfiguration(_Answer):
    digest: str = Field(description="A keyed hash of all that it was read from.")
    since: str = Field(description="When that began.", json_schema_extra=_TIME)
    differs_on_disk: bool = Field(description="Another one lies on the disk; the log says why it does not run.")


class Readiness(_Answer):
    status: str
    configuration: RunningConfiguration | None = Field(description="`null` where it is never read again.")
