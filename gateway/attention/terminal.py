"""`python -m gateway commands`: what an operator types, and what is printed."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, TypeAdapter

from gateway.attention.attending import MOST_LISTED, Acts, CantBe
from gateway.attention.view import AppointmentSeen, Image, Listed, Shown, StepSeen
from gateway.audit.acting import who
from gateway.ledger import State, Subject

RETRY_WAITS_S = 30.0
_JSON: TypeAdapter[list[BaseModel]] = TypeAdapter(list[Any])
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def add_commands(parser: argparse.ArgumentParser, config: argparse.ArgumentParser) -> None:
    """`list`, `show`, `retry` and `settle`; `asked.act` says which."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    common = argparse.ArgumentParser(add_help=False, parents=[config])
    common.add_argument("--json", action="store_true", help="for scripts")
    listing = acts.add_parser("list", parents=[common], help="the commands that are not at an end, newest first")
    which = listing.add_mutually_exclusive_group()
    which.add_argument("--unsettled", action="store_true", help="those that are not at an end (the default)")
    which.add_argument("--all", action="store_true", help="also those that are, as long as they are kept")
    listing.add_argument("--client", help="of this client only")
    listing.add_argument("--emr", help="on EMR accounts with this key only")
    named = argparse.ArgumentParser(add_help=False, parents=[common])
    named.add_argument("id", type=_id, help="the command, as `list` shows it")
    acts.add_parser("show", parents=[named], help="all that is needed to settle it in the EMR by hand")
    acts.add_parser("retry", parents=[named], help="try its repair again now")
    settle = acts.add_parser("settle", parents=[named], help="say that a person has brought it to an end by hand")
    settle.add_argument(
        "--as", dest="by_hand", choices=["done", "undone"], required=True, help="what stands in the EMR"
    )
    settle.add_argument("--note", type=_note, required=True, help="what was done, for who asks later")


def add_erase(parser: argparse.ArgumentParser) -> None:
    """Whose traces: one of three; `asked.act` says what is to be done."""
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--appointment", metavar="ID", help="of one appointment, by any id that it had")
    whose.add_argument("--patient", metavar="ID", help="of all appointments of a patient, by the EMR's id")
    whose.add_argument("--client", metavar="ID", help="of all commands of a client")
    parser.set_defaults(act="erase", json=False)


def _subject(asked: argparse.Namespace) -> Subject:
    if asked.appointment is not None:
        return Subject("appointment", asked.appointment)
    return Subject("client", asked.client) if asked.patient is None else Subject("patient", asked.patient)


def _id(text: str) -> str:
    if not _ID.fullmatch(text):
        raise argparse.ArgumentTypeError("should be a command's id, as `list` shows it")
    return text


def _note(text: str) -> str:
    if not 0 < len(text.strip()) <= 2000:
        raise argparse.ArgumentTypeError("should be a sentence, of 2000 characters at most")
    return text.strip()


async def answered(asked: argparse.Namespace, acts: Acts, wait_s: float = RETRY_WAITS_S) -> int:
    """Do what was asked for and print what came of it. → the exit status. Raises CantBe."""
    match asked.act:
        case "list":
            found = await acts.listed(settled=asked.all, client=asked.client, emr=asked.emr)
            _print(asked, found, _table(found))
        case "show":
            seen = await acts.shown(asked.id, who())
            _print(asked, seen, _whole(seen))
        case "retry":
            return _after_retry(asked, await acts.retry(asked.id, wait_s, who()))
        case "erase":
            erased = await acts.erase(_subject(asked), who())
            sys.stdout.write(f"Erased; commands: {erased.commands}, former ids: {erased.renamed}\n")
        case _:
            ended = await acts.settle(asked.id, asked.by_hand, asked.note, who())
            _print(asked, ended, [f"{ended.id}: {ended.state}"])
    return 0


def _after_retry(asked: argparse.Namespace, found: Listed) -> int:
    _print(asked, found, [f"{found.id}: {found.state}"])
    if found.state is State.REPAIRING:
        raise CantBe("It is not at an end yet. The gateway goes on by itself; `show` tells what is left.")
    if found.state is State.NEEDS_ATTENTION:
        raise CantBe("It could not be brought to an end. `show` tells what is left.")
    return 0


# -- printing ---------------------------------------------------------------------------------------------------------


def _print(asked: argparse.Namespace, found: BaseModel | Sequence[BaseModel], lines: Iterable[str]) -> None:
    if asked.json:
        lines = [found.model_dump_json() if isinstance(found, BaseModel) else _JSON.dump_json(list(found)).decode()]
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _table(found: Sequence[Listed]) -> list[str]:
    if not found:
        return ["There is none."]
    head = ("ID", "CLIENT", "EMR", "OPERATION", "STATE", "SINCE", "LEFT")
    rows = [(c.id, c.client, c.emr, c.operation, c.state, _utc(c.since), _count(c.left)) for c in found]
    older = ["There may be older ones."] if len(found) == MOST_LISTED else []
    return [*_columns([head, *rows]), *older]


def _columns(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return [f"{indent}{line.rstrip()}" for line in padded]


def _whole(seen: Shown) -> list[str]:
    answer = "nothing yet" if seen.answer_status is None else f"{seen.answer_status} {seen.answer_code or ''}".rstrip()
    return [
        *_columns(
            [
                ("command", seen.id),
                ("client", seen.client),
                ("emr", seen.emr),
                ("operation", seen.operation),
                ("created", _utc(seen.created_at)),
                ("state", f"{seen.state}, since {_utc(seen.since)}"),
                ("left", _count(seen.left)),
                ("answered", answer),
            ]
        ),
        *([f"It can't be read. {seen.beyond}"] if seen.beyond else []),
        *(f"{_utc(remark.at)} {remark.by}: {remark.text}" for remark in seen.remarks),
        *_steps(seen.steps),
        *(line for appointment in seen.appointments for line in _appointment(appointment)),
    ]


def _steps(steps: Sequence[StepSeen]) -> list[str]:
    rows = [
        (
            "*" if step.open else "",
            step.action or "unknown",
            step.slot_id or step.appointment_id or "-",
            step.state,
            _utc(step.attempted_at),
        )
        for step in steps
    ]
    return ["", "steps (* is open)", *_columns(rows, "  ")] if rows else []


def _appointment(seen: AppointmentSeen) -> list[str]:
    whose = f", for patient {seen.patient_id} and service {seen.healthcare_service_id}" if seen.before is None else ""
    comment = ", with another comment" if seen.comment_changes else ""
    before = "not there" if seen.before is None else _image(seen.before)
    return [
        "",
        f"appointment {seen.appointment_id or '(not made)'}: {seen.change}",
        *([f"  {seen.problem}"] if seen.problem else []),
        f"  before  {before}",
        f"  after   {_image(seen.after)}{comment}{whose}",
    ]


def _image(image: Image) -> str:
    return f"{image.start.isoformat()} to {image.end.isoformat()}, resource {image.resource_id or '-'}, {image.status}"


def _count(left: int | None) -> str:
    return "?" if left is None else str(left)


def _utc(at: datetime | None) -> str:
    return "-" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
