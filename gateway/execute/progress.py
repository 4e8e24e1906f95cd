"""Where each step of a run stands, and how that is said when it is neither all nor nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.domain.errors import GatewayError, PartiallyApplied, Problem
from gateway.domain.model import Appointment, Status
from gateway.domain.steps import Cancel, Change, Create, MarkSlot, Receipt, Step, waits_for_code
from gateway.execute import codec
from gateway.ledger import StepRow, StepState


@dataclass(slots=True)
class Progress:
    """One step on its way."""

    step: Step
    state: StepState = StepState.PLANNED
    before: Appointment | None = None
    """The image that it was written over."""
    receipt: Receipt | None = None
    error: GatewayError | None = None
    attempted_at: datetime | None = None
    """When it was last about to be sent."""
    undone_from: str | None = None
    """The id that the appointment had before its undo, which may have given it another one."""

    @property
    def waiting(self) -> bool:
        """A cancellation that only waits for the patient's code: nothing has changed by it."""
        made = self.receipt.appointment if self.receipt else None
        return isinstance(self.step, Cancel) and made is not None and made.status is Status.AWAITING

    @property
    def maybe_waiting(self) -> bool:
        """It waits for a code, or was never taken: no look at the appointment will ever tell."""
        return self.state is StepState.ATTEMPTING and waits_for_code(self.step)

    @property
    def repeatable(self) -> bool:
        """It was not executed, or asking for it twice is asking once."""
        return self.state is StepState.FAILED or self.maybe_waiting

    @property
    def carried_out(self) -> bool:
        """The EMR did it, and it is not undone yet: its receipt shows what it made of it."""
        return self.state in (StepState.DONE, StepState.UNDOING)

    @property
    def may_stand(self) -> bool:
        """Has it changed anything at the EMR, as far as is known?"""
        return self.state not in (StepState.PLANNED, StepState.FAILED, StepState.UNDONE) and not self.waiting

    @property
    def appointment_id(self) -> str | None:
        """What the appointment is called now."""
        if self.receipt is not None and self.receipt.appointment is not None and not self.waiting:
            return self.receipt.appointment.id
        return self.before.id if self.before is not None else None

    @property
    def made_id(self) -> str | None:
        """The id that only its receipt tells: of what it has made, or of a request that waits for a code."""
        shown = self.receipt.appointment if self.receipt else None
        known = self.before.id if self.before is not None else None
        return shown.id if shown is not None and shown.id != known else None


def row(n: int, at: Progress) -> StepRow:
    """The step as the ledger keeps it while its command is not settled."""
    payload = b""
    if at.error is not None and not at.carried_out:
        payload = codec.dump_failure(at.error, at.appointment_id)
    elif at.receipt is not None:
        payload = codec.dump_receipt(at.receipt, at.appointment_id, deviates=at.error is not None)
    return StepRow(n, at.state, at.step.kind, payload, at.attempted_at)


def base(chain: str) -> str:
    """The chain of the appointment that the client knows: a replaced one goes by its successor's."""
    return chain.removesuffix("/old")


def ready(n: int, progress: Sequence[Progress]) -> bool:
    """Not done yet, and everything before it that concerns the same appointment is."""
    at, chain = progress[n], base(progress[n].step.chain)
    earlier = [e for e in progress[:n] if base(e.step.chain) == chain]
    return (at.state is StepState.PLANNED or at.repeatable) and all(e.state is StepState.DONE for e in earlier)


def to_be_undone(n: int, progress: Sequence[Progress]) -> bool:
    at = progress[n]
    if at.state not in (StepState.DONE, StepState.UNDOING) or at.waiting or _of_somebody_elses(at, progress):
        return False
    return not _in_use(n, progress)


def _in_use(n: int, progress: Sequence[Progress]) -> bool:
    """A slot is not given back before the appointment that took it is."""
    at, chain = progress[n], base(progress[n].step.chain)
    later = (e for e in progress[n + 1 :] if base(e.step.chain) == chain)
    return isinstance(at.step, MarkSlot) and any(e.state is StepState.UNDOING for e in later)


def left_behind(progress: Sequence[Progress]) -> list[int]:
    """The slots yet to be given back of appointments that were ours to move, and are now as somebody else has them."""
    settled = (StepState.DONE, StepState.LEFT)
    return [n for n, at in enumerate(progress) if at.state not in settled and _of_somebody_elses(at, progress)]


def _of_somebody_elses(at: Progress, progress: Sequence[Progress]) -> bool:
    left = {base(e.step.chain) for e in progress if e.state is StepState.LEFT and not isinstance(e.step, MarkSlot)}
    return isinstance(at.step, MarkSlot) and at.step.state == "free" and base(at.step.chain) in left


def partial(
    progress: Sequence[Progress], images: Mapping[str, Appointment], paths: Mapping[str, str], failed: GatewayError
) -> PartiallyApplied:
    """One entry per appointment that is not as it was, or of which that is not known."""
    problems: dict[str, Problem] = {}
    replaced = {at.step.replaced_by for at in progress if isinstance(at.step, Cancel)}
    for at in progress:
        if at.state in (StepState.PLANNED, StepState.FAILED, StepState.UNDONE) or at.waiting:
            continue
        if not isinstance(at.step, MarkSlot):
            chain = base(at.step.chain)
            problems[chain] = _standing(at, images.get(chain), paths.get(chain), rebooked=at.step.chain in replaced)
    return PartiallyApplied(f"Neither all nor nothing was done: {failed.detail}", list(problems.values()))


def _standing(at: Progress, image: Appointment | None, path: str | None, *, rebooked: bool) -> Problem:
    """`rebooked`: the step made what was to replace it, and it is not cancelled."""
    code = at.error.problems[0].error_code if at.error and at.error.problems else "PARTIALLY_APPLIED"
    if rebooked and image is not None:
        return Problem(code, f"Beside it, as it was, stands {image.id}, which was to replace it.", path)
    match at.state:
        case StepState.LEFT:
            details = "It was changed meanwhile, not by this command, and that stands."
        case StepState.DONE | StepState.UNDOING:
            details = "It is changed."
        case _:
            details = "It is not known whether it is changed."
    if image is not None and at.before is not None and image.id != at.before.id:
        beside = isinstance(at.step, Cancel) and at.state is not StepState.DONE
        details += f" Beside it stands {image.id}." if beside else f" It is now {image.id}."
    elif isinstance(at.step, Create) and image is not None:
        details += f" It was created as {image.id}."
    return Problem(code, details, path)


def renamed(n: int, progress: Sequence[Progress], images: Mapping[str, Appointment]) -> list[tuple[str, str]]:
    """Ids that have got a successor by the n-th step, or by its undo, each with that."""
    at = progress[n]
    made = at.receipt.appointment if at.receipt else None
    pairs: list[tuple[str, str]] = []
    if isinstance(at.step, Change) and made is not None and at.before is not None:
        olds = {StepState.DONE: at.before.id, StepState.LEFT: at.before.id, StepState.UNDONE: at.undone_from}
        old = olds.get(at.state)
        pairs = [(old, made.id)] if old is not None else []
    elif isinstance(at.step, Create | Cancel) and at.state is StepState.DONE:
        # A rebooking's two halves come in either order: the pair is known when both are there.
        pairs = _replaced(progress, images)
    return [(old, new) for old, new in pairs if old != new]


def _replaced(progress: Sequence[Progress], images: Mapping[str, Appointment]) -> list[tuple[str, str]]:
    done = [at.step for at in progress if at.state is StepState.DONE]
    made = {step.chain for step in done if isinstance(step, Create)}
    replaced = [(step.before.id, step.replaced_by) for step in done if isinstance(step, Cancel)]
    return [(old, images[chain].id) for old, chain in replaced if chain is not None and chain in made]
