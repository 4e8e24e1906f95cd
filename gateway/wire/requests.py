"""Bodies of requests. Shape only: what may stand together is decided in `parse`. `null` means "not given"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.wire import values


def _must(read: Callable[[str], str], error_code: str = "BAD_INPUT") -> AfterValidator:
    """A check whose failure is told under `error_code`."""

    def check(text: str) -> str:
        try:
            return read(text)
        except values.Unreadable as no:
            raise PydanticCustomError(error_code, "{why}", {"why": str(no)}) from None

    return AfterValidator(check)


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "Must be a string.")
    try:
        return values.instant(value)
    except values.Unreadable as no:
        raise PydanticCustomError("BAD_INPUT", "{why}", {"why": str(no)}) from None


def _code(text: str) -> str:
    if not text.strip() or len(text) > 64:
        raise values.Unreadable("Must be the code that the patient was sent.")
    return values.free_text(text)


_ID = WithJsonSchema(values.ID_SCHEMA)
_TIME = WithJsonSchema({"type": "string", "format": "date-time"})

Instant = Annotated[datetime, BeforeValidator(_instant), _TIME]
Comment = Annotated[str, _must(values.free_text)]
Code = Annotated[str, _must(_code, "INVALID_CONFIRMATION_CODE")]
AppointmentId = Annotated[str, _must(values.opaque_id, "INVALID_APPOINTMENT_ID"), _ID]
ResourceId = Annotated[str, _must(values.opaque_id, "INVALID_RESOURCE_ID"), _ID]
PatientId = Annotated[str, _must(values.opaque_id, "INVALID_PATIENT_ID"), _ID]
ServiceId = Annotated[str, _must(values.opaque_id, "INVALID_HEALTHCARE_SERVICE_ID"), _ID]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Confirmation(_Body):
    """What the patient was sent; `code` may be left out where the EMR uses none."""

    code: Code | None = None


class _Changes(_Body):
    start: Instant | None = Field(None, description="Only together with `end`. RFC 3339 with an offset or `Z`.")
    end: Instant | None = Field(None, description="Only together with `start`, and after it.")
    resource_id: ResourceId | None = Field(None, description="The resource it moves to; not with `status`.")
    comment: Comment | None = Field(None, description='The new comment; `""` clears it.')
    status: Literal["cancelled"] | None = Field(
        None, description="Cancels. Stands alone or with `comment`; no other status can be asked for."
    )


class PatchOne(_Changes):
    """Update (`start`+`end`, `resource_id`, `comment`), cancel (`status`) or confirm (`confirmation`): one of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"start": "2031-03-03T09:00:00+01:00", "end": "2031-03-03T09:30:00+01:00", "comment": "Moved"},
                {"status": "cancelled", "comment": "Patient is abroad"},
                {"confirmation": {"code": "123456"}},
            ]
        }
    )
    confirmation: Confirmation | None = Field(None, description="Confirms. Stands alone.")


class PatchMany(_Changes):
    """Bulk update (no times), continuous reschedule (`start`+`end`) or bulk cancel (`status`) of `ids`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"ids": ["a-1", "a-2"], "resource_id": "r-2"},
                {
                    "ids": ["a-1", "a-2"],
                    "start": "2031-03-03T09:00:00+01:00",
                    "end": "2031-03-03T10:30:00+01:00",
                },
                {"ids": ["a-1", "a-2"], "status": "cancelled"},
            ]
        }
    )
    ids: list[AppointmentId] = Field(
        description="Different appointments.", json_schema_extra={"minItems": 1, "uniqueItems": True}
    )


class Booking(_Body):
    """Book a free time slot."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "start": "2031-03-03T09:00:00+01:00",
                    "end": "2031-03-03T09:30:00+01:00",
                    "patient_id": "p-1",
                    "resource_id": "r-1",
                    "healthcare_service_id": "s-1",
                    "comment": "First visit",
                }
            ]
        }
    )
    start: Instant
    end: Instant
    patient_id: PatientId
    resource_id: ResourceId
    healthcare_service_id: ServiceId
    comment: Comment | None = None
