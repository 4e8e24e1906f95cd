"""Holds what clients were told against what the EMR's own journal says. It judges by the contract's words alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from tests.histories import truth
from tests.histories.history import History
from tests.histories.lines import GONE, Lines, Net, content, is_booking, overlapping
from tests.histories.virtual import command_id
from tests.histories.world import Told

SETTLED = ("done", "refused", "undone", "needs_attention")


class Case:
    """A history and what is worked out of it once."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.lines = Lines(history)
        self.told = {told.tag: told for told in history.told}
        hands = {e.hand for e in history.journal if e.hand is not None}
        self.nets: dict[int, list[Net]] = {tag: self.lines.written_by(tag) for tag in sorted(hands)}

    def state(self, tag: int) -> str:
        command = self.history.commands.get(tag)
        return "none" if command is None else str(command["state"])

    def answer(self, tag: int) -> Any:
        answer = self.history.commands[tag]["answer"]
        return None if answer is None else answer["body"]

    def reported(self) -> set[int]:
        """Lines (by identity) that some command has named as neither all nor nothing."""
        found = set()
        for tag in self.history.commands:
            if self.state(tag) == "needs_attention":
                found |= {id(self.lines.of[ref]) for ref in truth.named(self, tag) if ref in self.lines.of}
        return found


Check = Callable[[Case], Iterator[str]]


def breaches(history: History) -> list[str]:
    """Everything in the run that must not be; each begins with its rule's name."""
    case = Case(history)
    return [f"{rule.__name__}: {said}" for rule in RULES for said in rule(case)]


def every_command_settles(case: Case) -> Iterator[str]:
    if not case.history.settled:
        yield "commands still run after an hour"
    for tag, command in case.history.commands.items():
        if command["state"] not in SETTLED:
            yield f"request {tag} is {command['state']}"


def no_write_without_intent(case: Case) -> Iterator[str]:
    """Before a write leaves, the ledger says that it may be happening."""
    for call in case.history.calls:
        if call.is_write and command_id(call.tag) not in call.intents:
            yield f"{call.method} {call.path} for request {call.tag}"


def writes_are_over_a_version(case: Case) -> Iterator[str]:
    """All but a patient's code: where the EMR can check that nobody came in between, it is asked to."""
    for call in case.history.calls:
        over_something = call.is_write and call.path != "/bookings" and not call.path.endswith("/code")
        if over_something and not call.body.get("if_rev"):
            yield f"{call.method} {call.path} for request {call.tag}"


def commands_do_not_mingle(case: Case) -> Iterator[str]:
    """Once another command has written to an appointment, the first one is through with it."""
    for line in case.lines.all:
        for first, second in line.mingled():
            yield f"{line.refs}: {second} came into {first}"


def no_double_booking(case: Case) -> Iterator[str]:
    """None but those that the staff made, or that a person is asked to decide about."""
    reported = case.reported()
    for pair in overlapping(case.history.bookings):
        lines = [case.lines.of[one["ref"]] for one in pair]
        placed = max((truth.placed_last(line) for line in lines), key=lambda entry: entry.number)
        if placed.hand is not None and not {id(line) for line in lines} & reported:
            yield f"{[one['ref'] for one in pair]} at {pair[0]['begins']} with {pair[0]['with']}, by {placed.hand}"


def refused_and_undone_change_nothing(case: Case) -> Iterator[str]:
    """Nor does what is no command at all: a read, a dry run, a refusal that is not remembered."""
    for tag, nets in case.nets.items():
        if case.state(tag) in ("refused", "undone", "none"):
            for net in nets:
                if net.differs:
                    yield f"request {tag} is {case.state(tag)}: {net.line.refs} {net.expected} → {net.actual}"


def the_staffs_changes_stand(case: Case) -> Iterator[str]:
    """What they changed after our first write is theirs, whatever became of the command."""
    for tag, nets in case.nets.items():
        for net in nets:
            if net.overwritten:
                yield f"request {tag} ({case.state(tag)}) over {net.line.refs}: {net.overwritten}"


def done_is_done(case: Case) -> Iterator[str]:
    """The answer shows all that the command changed, as the EMR had it, and what was asked for."""
    for tag in case.history.commands:
        if case.state(tag) == "done" and tag in case.told:
            yield from truth.of_done(case, tag)


def partial_names_exactly_what_differs(case: Case) -> Iterator[str]:
    for tag in case.history.commands:
        if case.state(tag) == "needs_attention" and tag in case.told:
            yield from truth.of_partial(case, tag)


def answers_are_true(case: Case) -> Iterator[str]:
    """What a client was told at once is what became of it; or that it is not at its end."""
    for told in case.history.told:
        if told.status is not None and not told.dry:
            yield from truth.of_answer(case, told)


def a_key_takes_effect_once(case: Case) -> Iterator[str]:
    by_key: dict[Any, set[int]] = defaultdict(set)
    for told in case.history.told:
        if told.key is not None and case.nets.get(told.tag):
            by_key[told.key].add(told.tag)
    for key, tags in by_key.items():
        if len(tags) > 1:
            yield f"{key} by {sorted(tags)}"


def a_key_answers_again(case: Case) -> Iterator[str]:
    """Byte for byte, and without another write."""
    for told, again in case.history.again:
        answer = case.history.commands[told.tag]["answer"]
        if not again.replayed or again.tag in case.nets:
            yield f"request {told.tag} was carried out again"
        elif again.status != answer["status"] or again.json() != answer["body"]:
            yield f"request {told.tag} answers {again.status} now"
        elif _final(case, told) and told.content != again.content:
            yield f"request {told.tag} answers in other bytes"


def _final(case: Case, told: Told) -> bool:
    """Its client was told how it ended, and not how it stood."""
    return told.status is not None and told.status != 202 and truth.code_of(told) not in truth.OPEN


def nothing_is_lost(case: Case) -> Iterator[str]:
    """An appointment that nobody cancelled stands somewhere, once."""
    reported = case.reported()
    standing = {b["ref"] for b in case.history.bookings if b["stage"] not in GONE}
    for line in case.lines.all:
        last, there = line.entries[-1], [ref for ref in line.refs if ref in standing]
        cancelled = content(last.now) is None or (last.now or {})["stage"] == "ANNULLED"
        if len(there) != (0 if cancelled else 1):
            yield f"{line.refs} stands {len(there)} times"
        if cancelled and last.hand is not None and id(line) not in reported:
            yield from truth.of_cancelled(case, line, last.hand)


def slot_records_agree(case: Case) -> Iterator[str]:
    """A slot is busy just where an appointment has it, reported or not; what the staff touched is theirs."""
    staffs = [e for e in case.history.journal if e.hand is None and e.number > case.history.founded]
    theirs = {e.ref for e in staffs}
    held = {ref for b in case.history.bookings if b["stage"] not in GONE for ref in b["slots"]}
    views = [view for e in staffs if is_booking(e.ref) for view in (e.was, e.now)]
    moved = {ref for view in views if view is not None for ref in view["slots"]}
    for ref, state in case.history.slots.items():
        if ref not in theirs | moved and (state == "busy") != (ref in held):
            yield f"{ref} is {state}"


RULES: tuple[Check, ...] = (
    every_command_settles,
    no_write_without_intent,
    writes_are_over_a_version,
    commands_do_not_mingle,
    no_double_booking,
    refused_and_undone_change_nothing,
    the_staffs_changes_stand,
    done_is_done,
    partial_names_exactly_what_differs,
    answers_are_true,
    a_key_takes_effect_once,
    a_key_answers_again,
    nothing_is_lost,
    slot_records_agree,
)
