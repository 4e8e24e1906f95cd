"""A run that was stopped in the middle by no fault of its EMR's: a crash, or a failure of our own."""

from __future__ import annotations

from gateway.domain.errors import OutcomeUnknown
from gateway.execute.progress import partial
from gateway.execute.run import End, Run
from gateway.ledger import State, StepState


def begun(run: Run) -> bool:
    """Something may have been written, or was about to be."""
    return any(at.state is not StepState.PLANNED for at in run.progress)


def stuck(run: Run) -> End:
    """What is told of it until somebody has looked again at what stands."""
    failed = OutcomeUnknown("The gateway was interrupted in the middle of it, and looks again at what stands.")
    if len(run.progress) == 1:
        return End(State.REPAIRING, failed)
    paths = {line.chain: line.path for line in run.plan.lines if line.path is not None}
    return End(State.REPAIRING, partial(run.progress, run.images, paths, failed))
