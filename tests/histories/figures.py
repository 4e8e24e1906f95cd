"""What many runs add up to, told at the end of `make faults`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.histories.checker import SETTLED
from tests.histories.history import History
from tests.histories.world import Told

FULL = 1000
RUNS = int(os.environ.get("RUNS", FULL))
"""How many histories; the other trials are in proportion to it."""
SEED = int(os.environ.get("SEED", "0"))
"""The first of them: with the same one, everything is the same."""


def share(of: int, least: int = 1) -> int:
    """As many of `of` as `RUNS` are of all."""
    return max(least, of * RUNS // FULL)


def counted(history: History) -> Counter[str]:
    counts = Counter({"runs": 1, "requests": len(history.told), "EMR calls": len(history.calls)})
    counts["EMR writes carried out"] = sum(entry.hand is not None for entry in history.journal)
    counts["staff's writes"] = sum(e.hand is None and e.number > history.founded for e in history.journal)
    counts["crashes"] = history.deaths
    counts["hang-ups"] = sum(told.status is None for told in history.told)
    counts["repeated keys"] = sum(told.replayed for told in history.told) + len(history.again)
    counts |= Counter({f"fault: {name}": count for name, count in history.faults.items()})
    counts |= Counter({f"command: {state}": 0 for state in SETTLED})
    counts.update(f"command: {command['state']}" for command in history.commands.values())
    return counts


def at_first(told: Told | None) -> str:
    """How a command seemed to its client, as far as it was told at once."""
    if told is None or told.status in (None, 202):
        return "unknown"
    return (
        "unknown" if told.status == 502 and told.json()["code"] in ("OUTCOME_UNKNOWN", "PARTIALLY_APPLIED") else "told"
    )


def table(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]


def listed(counts: Mapping[str, int]) -> list[str]:
    width = max(map(len, counts), default=0)
    return [f"{name.ljust(width)}  {count:>9,}" for name, count in counts.items()]
