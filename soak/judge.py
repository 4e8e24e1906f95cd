"""Whether a process that has worked for a while is still what it was: nothing that it holds may grow with its work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

MEGABYTE = 1024 * 1024
WARMING = 0.2
"""The part of the time that does not count: caches fill, and the allocator finds its size."""
GROWTH_BYTES, GROWTH = 8 * MEGABYTE, 0.05
"""Memory may grow by the larger of both, in all the time that counts."""
SPARE = 0.25
"""What is held for what is under way may swing by so much, and by `FEW`."""
FEW = 6


@dataclass(frozen=True, slots=True)
class Sample:
    at_s: float
    memory: float
    """Resident, in bytes."""
    files: float
    """Open descriptors: files and connections."""
    threads: float
    tasks: float


def complaints(samples: Sequence[Sample], idle_before: Sample, idle_after: Sample) -> Iterator[str]:
    """A sentence for each leak. `samples`: of the time under load; the others: of an idle process before and after."""
    counted = [sample for sample in samples if sample.at_s >= samples[0].at_s + WARMING * _lasted(samples)]
    third = len(counted) // 3
    if third < 2:
        yield "too few samples to tell anything"
        return
    first, last = counted[:third], counted[-third:]
    yield from _memory(first, last)
    for what in ("files", "threads", "tasks"):
        # What is under way comes and goes, and what leaks never goes: it is what there is at the quietest moment.
        was, is_now = (min(getattr(sample, what) for sample in part) for part in (first, last))
        if is_now > was * (1 + SPARE) + FEW:
            yield f"{what} grew under an even load: {was:.0f} at first, {is_now:.0f} at last"
        before, after = getattr(idle_before, what), getattr(idle_after, what)
        if after > before + 1:
            yield f"{what} were left behind: {before:.0f} before the load, {after:.0f} after it"


def _memory(first: Sequence[Sample], last: Sequence[Sample]) -> Iterator[str]:
    was, is_now = (median(sample.memory for sample in part) for part in (first, last))
    if is_now - was > max(GROWTH_BYTES, GROWTH * was):
        yield f"memory grew: {was / MEGABYTE:.1f} MB at first, {is_now / MEGABYTE:.1f} MB at last"


def _lasted(samples: Sequence[Sample]) -> float:
    return samples[-1].at_s - samples[0].at_s
