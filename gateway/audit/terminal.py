"""`python -m gateway audit`: is the record whole, and what is in it?"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.audit import fhir
from gateway.audit.chain import Broken
from gateway.audit.reading import Entry, Record, Wanted
from gateway.keys import Keys

_MARK = re.compile(r"\d{1,18}:[0-9a-f]{32}")


def add_commands(parser: argparse.ArgumentParser, config: argparse.ArgumentParser) -> None:
    """`verify` and `export`; `asked.act` says which."""
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    verify = acts.add_parser("verify", parents=[config], help="find what was removed or altered")
    verify.add_argument("--head", type=_mark, help="NUMBER:MAC, as it was logged once; it has to be in the record")
    export = acts.add_parser("export", parents=[config], help="print what is recorded, one entry a line, oldest first")
    export.add_argument("--format", choices=FORMATS, default="jsonl", help="fhir: AuditEvent of R4 (default: jsonl)")
    export.add_argument("--since", type=_instant, help="a date (00:00 UTC), or a time with its offset")
    export.add_argument("--until", type=_instant, help="likewise; entries of then and later are left out")
    export.add_argument("--client", help="what this client has asked for")
    export.add_argument("--appointment", metavar="ID", help="what is about the appointment that had this id")
    export.add_argument("--patient", metavar="ID", help="what is about appointments of this patient, by the EMR's id")


def _mark(text: str) -> str:
    if not _MARK.fullmatch(text):
        raise argparse.ArgumentTypeError("should be NUMBER:MAC, as the gateway logs it")
    return text


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or (at.tzinfo is None and len(text) != len("2026-01-31")):
        raise argparse.ArgumentTypeError("should be a date, or a time with its offset")
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def answered(asked: argparse.Namespace, ledger: Path, keys: Keys) -> int:
    """Do what was asked for and print what came of it. → the exit status. Raises Broken."""
    record = Record(ledger, keys)
    return _verify(asked, record) if asked.act == "verify" else _export(asked, record)


def _verify(asked: argparse.Namespace, record: Record) -> int:
    walk = record.verify(asked.head)
    count = walk.at.number - walk.anchor.number
    known = f" since entry {walk.anchor.number + 1}" if walk.anchor.number else ""
    print(f"The record is whole: {count} entries{known}; its head is {walk.at}")  # noqa: T201
    return 0


def _export(asked: argparse.Namespace, record: Record) -> int:
    wanted = Wanted(
        since=asked.since, until=asked.until, client=asked.client, appointment=asked.appointment, patient=asked.patient
    )
    written = FORMATS[asked.format]
    try:
        for entry in record.entries(wanted):
            sys.stdout.write(json.dumps(written(entry)) + "\n")
    except Broken as error:
        raise Broken(f"{error} What was printed is whole as far as it goes.") from None
    return 0


def plain(entry: Entry) -> dict[str, Any]:
    return {"number": entry.number, "mac": entry.mac.hex(), **entry.told}


FORMATS: dict[str, Callable[[Entry], dict[str, Any]]] = {"jsonl": plain, "fhir": fhir.audit_event}
