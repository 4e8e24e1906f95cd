"""`python -m tests.histories SEED ...`: repeats runs, says what is wrong with them, and makes them smaller."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from tests.histories.checker import breaches
from tests.histories.history import Entry, History, Setting, run


def main(seeds: Sequence[str]) -> int:
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order within a set is a die, too.
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.histories", *seeds], os.environ | {"PYTHONHASHSEED": "0"}
        )
    failed = [seed for seed in map(int, seeds) if _said(seed)]
    return 1 if failed else 0


def _said(seed: int) -> list[str]:
    history = run(seed)
    found = breaches(history)
    print(f"seed {seed}, {history.personality}: {len(history.told)} requests, {len(found)} breaches")  # noqa: T201
    if found:
        without = shrunk(seed, lambda smaller: breaches(smaller) != [])
        smallest = run(seed, Setting(without=without))
        print(f"without the requests {sorted(without)}:")  # noqa: T201
        _show(smallest)
    return found


def shrunk(seed: int, fails: Callable[[History], bool]) -> set[int]:
    """Requests, by number, without which the run still fails; leaving out any other one mends it."""
    numbers = {told.tag // 10 for told in run(seed).told}
    without: set[int] = set()
    for number in sorted(numbers):
        if fails(run(seed, Setting(without=without | {number}))):
            without.add(number)
    return without


def _show(history: History) -> None:
    events = [(t.sent, f"{t.tag} asks {t.method} {t.path} {t.body} {t.headers}") for t in history.told]
    events += [
        (t.answered, f"{t.tag} is told {t.status} {t.content.decode()}") for t in history.told if t.answered is not None
    ]
    events += [
        (c.at, f"{c.tag} writes {c.method} {c.path} {c.body} {c.fault or ''}") for c in history.calls if c.is_write
    ]
    events += [(e.at, f"by {e.hand or 'staff'}: {e.ref} {_difference(e)}") for e in history.journal]
    for at, said in sorted(events, key=lambda event: event[0]):
        print(f"{at:9.3f}  {said}")  # noqa: T201
    for said in breaches(history):
        print(f"BREACH  {said}")  # noqa: T201


def _difference(entry: Entry) -> str:
    was, now = entry.was or {}, entry.now or {}
    return ", ".join(f"{name}: {was.get(name)} → {value}" for name, value in now.items() if value != was.get(name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
