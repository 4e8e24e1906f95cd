"""A command's appointments as they were read, and what fails, by the place of the id in the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.domain.commands import Command
from gateway.domain.errors import BadRequest, GatewayError, NotFound, Problem, first_failing
from gateway.domain.model import Appointment


class Read:
    """Every failing id is named: checks add to `failing`, and `refuse` raises them all, the first one deciding."""

    def __init__(self, command: Command, ids: Sequence[str], found: Mapping[str, Appointment | None]) -> None:
        self._single = command.single
        self.found: dict[int, Appointment] = {}
        """The appointments that are there, each once, by the number of their id."""
        self._failing: dict[int, tuple[type[GatewayError], Problem]] = {}
        seen: dict[str, int] = {}
        for number, id in enumerate(ids):
            appointment = found.get(id)
            if appointment is None or command.care_unit_id not in (None, appointment.care_unit_id):
                kind = NotFound if command.single else BadRequest
                self.fail(number, kind, "INVALID_APPOINTMENT_ID", "There is no such appointment.")
            elif appointment.id in seen:
                same = self._path(seen[appointment.id])
                self.fail(number, BadRequest, "BAD_INPUT", f"It is the same appointment as {same}.")
            else:
                seen[appointment.id] = number
                self.found[number] = appointment

    @property
    def appointments(self) -> list[Appointment]:
        return list(self.found.values())

    @property
    def paths(self) -> dict[str, str]:
        """How the request names each appointment, by its id."""
        return {appointment.id: self._path(number) for number, appointment in self.found.items()}

    def _path(self, number: int) -> str:
        return "appointment_id" if self._single else f"ids/{number}"

    def fail(self, number: int, kind: type[GatewayError], error_code: str, details: str) -> None:
        """The first thing that is wrong with an id is what is said of it."""
        self._failing.setdefault(number, (kind, Problem(error_code, details, self._path(number))))

    def failed(self, number: int) -> bool:
        return number in self._failing

    def refuse(self) -> None:
        if self._failing:
            raise first_failing([self._failing[number] for number in sorted(self._failing)])
