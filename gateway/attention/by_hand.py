"""What the client is told of a command that a person has brought to an end: nothing is asked of the EMR for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gateway.answering import Answering, Form
from gateway.attention.view import current_id, receipt_id
from gateway.domain.errors import GatewayError, OutcomeUnknown
from gateway.domain.outcome import Shown
from gateway.domain.steps import Line
from gateway.execute import codec
from gateway.execute.codec import Stored
from gateway.ledger import Answer, CommandRow, Ledger, StepRow
from gateway.restoring import BeyondRepair, stored_of

UNDONE = "A person has undone it by hand. Try again with a new key."
DONE_UNREAD = "A person has done it by hand; what it was can't be read any more. Read the appointments."


class ByHand:
    def __init__(self, answering: Answering, ledger: Ledger) -> None:
        self._answering, self._ledger = answering, ledger

    async def done(self, row: CommandRow) -> Answer:
        """The appointments as they should be, on that person's word."""
        try:
            plan = stored_of(row)
        except BeyondRepair:
            return self._answering.error(OutcomeUnknown(DONE_UNREAD), codec.standard_of(row.payload))
        form = Form(standard=plan.standard, emr=row.emr, single=plan.single, created=plan.created)
        return self._answering.on_word([await self._expected(line, plan, row) for line in plan.lines], form)

    async def _expected(self, line: Line, plan: Stored, row: CommandRow) -> Shown:
        id = current_id(line, plan, row) or ""
        earlier = await self._ledger.ancestors(row.tenant, id) if id else ()
        return Shown(replace(line.expected, id=id), line.change, earlier)

    def undone(self, row: CommandRow) -> Answer:
        """What went wrong, where that is known."""
        failures = (_failure(step) for step in row.steps)
        failed = next((f for f in failures if f is not None and not isinstance(f, OutcomeUnknown)), None)
        return self._answering.error(failed or GatewayError(UNDONE), codec.standard_of(row.payload))


def _failure(step: StepRow) -> GatewayError | None:
    try:
        return codec.load_failure(step.payload)
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def closing(row: CommandRow) -> Sequence[StepRow]:
    """The steps as they are kept: what the gateway knew of them, without receipts."""
    return [replace(step, payload=codec.dump_id(receipt_id(step))) for step in row.steps]
