"""The sandbox EMR's words: its stages, its wall time, its way to say no, and what it accepts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

MEMO_MAX = 1000

PLANNED = "PLANNED"
UNCONFIRMED = "UNCONFIRMED"
DONE = "DONE"
ANNULLED = "ANNULLED"
ABSENT = "ABSENT"
ARRIVED = "ARRIVED"
MOVED = "MOVED"
AWAITING_CODE = "AWAITING_CODE"

OPEN = (PLANNED, UNCONFIRMED)
GONE = (ANNULLED, MOVED)
"""Stages that hold no time."""


class Fault(Exception):
    """A no, or a failure on demand. `word` is all that a caller is told."""

    def __init__(self, status: int, word: str, *, retry_after: int | None = None) -> None:
        super().__init__(word)
        self.status, self.word, self.retry_after = status, word, retry_after


def bad_value() -> Fault:
    return Fault(422, "BAD_VALUE")


def wall(text: str) -> str:
    """Local wall time in its shortest form, so that texts sort as times do. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None or "T" not in text:
        raise ValueError("local wall time has a T and no offset")
    return shortest(moment)


def shortest(moment: datetime) -> str:
    if moment.microsecond:
        return moment.isoformat(timespec="microseconds")
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")


Wall = Annotated[str, AfterValidator(wall)]
Memo = Annotated[str, StringConstraints(max_length=MEMO_MAX)]
Ref = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Asked(BaseModel):
    """What every write may carry: a memo, the revision that it is written over, and whether the patient is told."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    memo: Memo | None = None
    if_rev: str | None = None
    tell: bool = True


class NewBooking(Asked):
    who: Ref
    staff: Ref = Field(alias="with")
    kind: Ref
    begins: Wall
    ends: Wall
    mark: Ref | None = None
    """The caller's own name for this booking."""
    slots: list[Ref] | None = None


class Changed(Asked):
    """What is left out stays as it is."""

    begins: Wall | None = None
    ends: Wall | None = None
    staff: Ref | None = Field(default=None, alias="with")
    slots: list[Ref] | None = None


class Annulment(Asked):
    pass


class Code(Asked):
    code: str


class Marked(Asked):
    state: Annotated[str, StringConstraints(pattern="^(free|busy)$")]


class Query(BaseModel):
    """A question about a stretch of time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    begins: Wall = Field(default="0001-01-01T00:00", alias="from")
    ends: Wall = Field(default="9999-12-31T23:59", alias="until")
    staff: str | None = Field(default=None, alias="with")
    who: str | None = None
    kind: str | None = None
    site: str | None = None
    ignoring: tuple[str, ...] = ()


A = TypeVar("A", bound=BaseModel)


def understood(model: type[A], body: bytes) -> A:
    """A request's JSON. Raises Fault BAD_VALUE."""
    try:
        return model.model_validate_json(body)
    except ValidationError:
        raise bad_value() from None
