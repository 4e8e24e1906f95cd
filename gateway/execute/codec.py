"""Plans, receipts and failures as versioned JSON: what must survive a restart. The ledger seals it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from gateway.domain import errors
from gateway.domain.errors import GatewayError, Problem
from gateway.domain.steps import Cancel, Change, Confirm, Create, Discard, Line, MarkSlot, Plan, Receipt

VERSION = 1

StoredStep = Annotated[Change | Create | Cancel | Confirm | Discard | MarkSlot, Field(discriminator="kind")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A command as the ledger keeps it until it is settled."""

    version: int
    standard: str
    single: bool
    created: bool
    stages: tuple[tuple[StoredStep, ...], ...]
    lines: tuple[Line, ...]
    operation: str
    turning_stage: int | None
    resource_days: tuple[tuple[str, str], ...]
    check_conflicts: tuple[str, ...]
    claims: tuple[str, ...]
    bundled: bool = False
    """Not said by a gateway that knew no bundles."""

    def plan(self) -> Plan:
        return Plan(
            operation=self.operation,
            stages=self.stages,
            lines=self.lines,
            turning_stage=self.turning_stage,
            resource_days=self.resource_days,
            check_conflicts=self.check_conflicts,
            bundled=self.bundled,
        )


_STORED = TypeAdapter(Stored)
_RECEIPT = TypeAdapter(Receipt)
_FAILURES: Mapping[str, type[GatewayError]] = {
    kind.__name__: kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, GatewayError)
}


def dump(plan: Plan, *, standard: str, single: bool, created: bool, claims: tuple[str, ...]) -> bytes:
    stored = Stored(
        version=VERSION,
        standard=standard,
        single=single,
        created=created,
        stages=plan.stages,
        lines=plan.lines,
        operation=plan.operation,
        turning_stage=plan.turning_stage,
        resource_days=plan.resource_days,
        check_conflicts=plan.check_conflicts,
        claims=claims,
        bundled=plan.bundled,
    )
    return _STORED.dump_json(stored)


def dump_standard(standard: str) -> bytes:
    """What is stored of a command until it has a plan: how its client wants to be answered."""
    return json.dumps({"standard": standard}).encode()


def standard_of(payload: bytes) -> str:
    """The standard of a stored command, with or without a plan; the common one where none can be read."""
    try:
        return str(json.loads(payload)["standard"])
    except (ValueError, LookupError, TypeError):
        return "leyr"


class Unloadable(ValueError):
    """A stored command can't be read by this gateway. The text says why, and holds nothing of it."""


def load(payload: bytes) -> Stored:
    """Raises Unloadable."""
    try:
        version = json.loads(payload)["version"]
    except (ValueError, LookupError, TypeError):
        raise Unloadable("What was stored of it can't be read.") from None
    if version != VERSION:
        raise Unloadable(f"It was stored by another gateway than this one, which reads version {VERSION}.")
    try:
        return _STORED.validate_json(payload)
    except ValidationError:
        raise Unloadable("What was stored of it is not what this gateway stores.") from None


def dump_receipt(receipt: Receipt, appointment_id: str | None, *, deviates: bool = False) -> bytes:
    """`deviates`: the EMR stored something else than it was asked to."""
    body = json.loads(_RECEIPT.dump_json(receipt))
    return json.dumps({"receipt": body, "appointment_id": appointment_id, "deviates": deviates}).encode()


def dump_id(appointment_id: str | None) -> bytes:
    """All that is kept of a step once its command is settled."""
    return json.dumps({"appointment_id": appointment_id}).encode()


def load_receipt(payload: bytes) -> Receipt:
    return _RECEIPT.validate_python(json.loads(payload)["receipt"])


def dump_failure(failure: GatewayError, appointment_id: str | None) -> bytes:
    body = {
        "kind": type(failure).__name__,
        "detail": failure.detail,
        "problems": [asdict(p) for p in failure.problems],
    }
    return json.dumps({"failure": body, "appointment_id": appointment_id}).encode()


def load_failure(payload: bytes) -> GatewayError | None:
    body = json.loads(payload).get("failure") if payload else None
    if body is None:
        return None
    return _FAILURES[body["kind"]](body["detail"], [Problem(**p) for p in body["problems"]])
