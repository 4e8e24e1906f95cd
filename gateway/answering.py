"""Answers of commands, rendered apart from any request: they are stored, and told again to whoever asks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import uuid4

from gateway.domain.errors import GatewayError
from gateway.domain.model import Appointment, Status
from gateway.domain.outcome import Outcome, Shown
from gateway.domain.steps import Change, Create, Line, Plan
from gateway.execute import codec
from gateway.execute.run import End, Run
from gateway.keys import Keys
from gateway.ledger import Answer, Ledger
from gateway.port import Emr
from gateway.wire import render_error, speaking


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a command's answer has to look like, whatever is in it."""

    standard: str
    """As the client asked for it (`x-leyr-standard`)."""
    emr: str
    """The key of the EMR account."""
    single: bool
    created: bool


class Answering:
    def __init__(self, keys: Keys, ledger: Ledger, public_url: str) -> None:
        self._keys, self._ledger, self._public_url = keys, ledger, public_url

    def error(self, error: GatewayError, standard: str) -> Answer:
        return render_error(error, str(uuid4()), self._public_url, standard)

    async def answer(self, emr: Emr, run: Run, end: End, form: Form) -> Answer:
        """What the client is told of a run that has come to an end, or to a stop."""
        if end.error is not None:
            return self.error(end.error, form.standard)
        shown = [await self._shown(emr, run, line) for line in run.plan.lines]
        return self._told(shown, form)

    async def _shown(self, emr: Emr, run: Run, line: Line) -> Shown:
        waiting = next((at for at in run.progress if at.step.chain == line.chain and at.waiting), None)
        if waiting is not None and waiting.receipt is not None and waiting.receipt.appointment is not None:
            return Shown(waiting.receipt.appointment, "kept")
        now = run.images.get(line.chain, line.before or line.expected)
        return Shown(now, line.change, await earlier_ids(emr, self._ledger, now))

    async def preview(self, emr: Emr, plan: Plan, form: Form) -> Answer:
        """What would have been answered: nothing was written."""
        renamed = {s.chain for _, s in plan.steps() if isinstance(s, Create) or (isinstance(s, Change) and s.new_id)}
        foreseen = [await self._foreseen(emr, line, new_id=line.chain in renamed) for line in plan.lines]
        return self._told(foreseen, form, dry_run=True)

    async def _foreseen(self, emr: Emr, line: Line, *, new_id: bool) -> Shown:
        """`new_id`: only the EMR can say what it will be called."""
        expected, before = line.expected, line.before
        if before is None:
            return Shown(expected, line.change)
        if line.change == "cancelled" and before.code_to_cancel:
            # The EMR will ask for a code, under an id that only it can make.
            return Shown(replace(before, id="", status=Status.AWAITING), "kept")
        earlier = await earlier_ids(emr, self._ledger, before)
        if new_id:
            return Shown(replace(expected, id=""), line.change, (*earlier, before.id))
        return Shown(expected, line.change, earlier)

    def on_word(self, shown: list[Shown], form: Form) -> Answer:
        """What a person says that the EMR holds. Nobody has read it, so it has no `ETag`."""
        return self._told(shown, form, dry_run=True)

    def _told(self, shown: list[Shown], form: Form, *, dry_run: bool = False) -> Answer:
        outcome = Outcome(tuple(sorted(shown, key=_place)), form.single, form.created)
        return speaking(form.standard, self._public_url, form.emr).outcome(outcome, self.etag, dry_run=dry_run)

    def digest(self, plan: Plan) -> str:
        """Names the plan with its starting state; the same for the same, and nothing can be read from it."""
        return self._keys.hmac("plan", codec.dump(plan, standard="", single=False, created=False, claims=()))

    def etag(self, appointment: Appointment) -> str:
        """A strong entity tag (RFC 9110 §8.8.3) over the EMR's own version and all that a client sees."""
        seen = (
            appointment.id,
            appointment.version,
            *(str(second) for second in appointment.span.key),
            appointment.status,
            appointment.comment or "",
            appointment.patient_id,
            appointment.resource_id,
            appointment.healthcare_service_id,
            appointment.care_unit_id,
            str(appointment.confirmed),
        )
        digest = self._keys.hmac("etag", *(part if part is not None else b"\0" for part in seen))
        return f'"{digest[:32]}"'


def _place(shown: Shown) -> tuple[bool, tuple[float, float]]:
    """First the ones that stand, in order of start, then the cancelled ones."""
    return (shown.change == "cancelled", shown.appointment.span.key)


def gives_new_ids(emr: Emr) -> bool:
    """May a move change an appointment's id, natively or because it is booked anew?"""
    return not "in_place" == emr.capabilities.move == emr.capabilities.reassign


async def earlier_ids(emr: Emr, ledger: Ledger, appointment: Appointment) -> tuple[str, ...]:
    """The ids that the appointment had before, where its EMR gives new ones at all."""
    if not gives_new_ids(emr) or not appointment.id:
        return ()
    return await ledger.ancestors(emr.tenant, appointment.id)
