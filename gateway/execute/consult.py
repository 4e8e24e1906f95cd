"""Answers the planner's questions through the port: every batch at the same time, locks in between."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from gateway.domain.model import Appointment
from gateway.domain.questions import (
    Claim,
    FindFreeTime,
    LookUp,
    Planning,
    Question,
    ReadAppointments,
    ReadCalendar,
)
from gateway.domain.steps import Plan
from gateway.execute.failures import of_read
from gateway.ledger import Ledger
from gateway.port import Emr, EmrError


class Held(Protocol):
    """The locks of one command."""

    async def take(self, *keys: str) -> None: ...


class Consultation:
    """One planning's conversation with the EMR. Without `held` (a dry run) nothing is locked."""

    def __init__(self, emr: Emr, ledger: Ledger, held: Held | None) -> None:
        self._emr, self._ledger, self._held = emr, ledger, held

    async def plan(self, planning: Planning) -> Plan:
        """Drive the planner to its plan. Raises what it refuses with, and GatewayError where a read fails."""
        answers: tuple[Any, ...] | None = None
        while True:
            try:
                batch = next(planning) if answers is None else planning.send(answers)
            except StopIteration as done:
                plan: Plan = done.value
                return plan
            answers = await self._answer(batch)

    async def _answer(self, batch: tuple[Question, ...]) -> tuple[Any, ...]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(question)) for question in batch]
        except BaseExceptionGroup as failed:
            error = _first(failed)
            raise (of_read(error) if isinstance(error, EmrError) else error) from None
        return tuple(task.result() for task in tasks)

    async def _one(self, question: Question) -> Any:
        match question:
            case Claim():
                return await self._claim(question)
            case ReadAppointments():
                return await self.read(question.ids)
            case FindFreeTime():
                return await self._emr.free_time(question)
            case ReadCalendar():
                return await self._emr.calendar(question)
            case LookUp():
                return await self._emr.look_up(question.kind, question.id)

    async def read(self, ids: tuple[str, ...]) -> Mapping[str, Appointment | None]:
        """Appointments by any id that they ever had."""
        current = await self._ledger.successors(self._emr.tenant, ids)
        now = [current.get(id, id) for id in ids]
        found = await self._emr.appointments(tuple(dict.fromkeys(now)))
        return {id: found.get(at) for id, at in zip(ids, now, strict=True)}

    async def _claim(self, claim: Claim) -> None:
        if self._held is None:
            return
        if claim.resource_days:
            await self._held.take(*(day_key(self._emr.tenant, *pair) for pair in claim.resource_days))
        ids = claim.appointments
        taken: set[str] = set()
        while ids:
            # An id may get a successor while we wait for it: hold what it is called then, too.
            current = await self._ledger.successors(self._emr.tenant, ids)
            wanted = {appointment_key(self._emr.tenant, current.get(id, id)) for id in ids}
            if wanted <= taken:
                return
            await self._held.take(*(wanted - taken))
            taken |= wanted


def appointment_key(tenant: str, id: str) -> str:
    return f"appointment\0{tenant}\0{id}"


def day_key(tenant: str, resource_id: str, day: str) -> str:
    return f"resource-day\0{tenant}\0{resource_id}\0{day}"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    leaf: BaseException = group
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf
