"""Who changed what, when, and how it ended: entries of which none can be taken away or altered unseen.

__init__   what is recorded, and the one interface by which others record
touched    what a command is about, as it is recorded
acting     what a person does at a terminal: recorded before it is done, and how it ended
chain      each entry vouches for all before it; whoever has the key finds where that ends
reading    the record of a state directory, or of a copy of one, without a gateway
fhir       an entry as a FHIR AuditEvent
terminal   `python -m gateway audit`

Entries are written by the ledger (`gateway.ledger.trail`), in the transaction of what they tell; those of what is done
at a terminal by that process itself, beside a gateway that works (`gateway.ledger.beside`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.keys import Keys

GATEWAY = "gateway"
"""Who did what nobody asked for."""
Fact = str | int | bool | None | Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """One appointment that a command is about. Ids are stored as keyed hashes, and of fields only their names."""

    appointment_id: str | None = None
    patient_id: str | None = None
    change: str = "asked"
    """`asked` until there is a plan."""
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something beside the commands that somebody may have to account for. Never patient data: `subject` is for ids."""

    kind: str
    """What happened, as a dotted word: `gateway.started`, `configuration.switched`."""
    by: str = GATEWAY
    """`gateway`, a client's id, or the operating system's name for the person."""
    facts: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in the chain: the entry with this number, and all before it."""

    number: int
    """0: before the first one."""
    mac: bytes

    def __str__(self) -> str:
        """As it is logged, and compared with later: half of the bytes are enough."""
        return f"{self.number}:{self.mac[:16].hex()}"


class Recorder(Protocol):
    """What is needed of the ledger to record something."""

    async def note(self, event: Event, now: datetime) -> None:
        """Returns when the entry is durable. Raises LedgerDown."""
        ...


def appointment_hash(keys: Keys, tenant: str, id: str) -> str:
    """An appointment as the record has it: the same for the same id of the same EMR, whoever asks."""
    return keys.hmac("audit.appointment", tenant, id)[:32]


def patient_hash(keys: Keys, tenant: str, id: str) -> str:
    """A patient as the record has them."""
    return keys.hmac("audit.patient", tenant, id)[:32]
