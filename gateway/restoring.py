"""A stored command, made ready to be gone on with; or why that can't be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from gateway import clock
from gateway.answering import Form
from gateway.configuration.accounts import OpenAccount
from gateway.domain.steps import Plan
from gateway.execute import codec
from gateway.execute.codec import Stored
from gateway.execute.consult import appointment_key, day_key
from gateway.execute.run import Run
from gateway.frames import frames
from gateway.ledger import CommandRow, Ledger
from gateway.port import Emr

log = logging.getLogger("gateway.repair")

Accounts = Mapping[tuple[str, str], OpenAccount]


class BeyondRepair(Exception):
    """The gateway can't go on with it. The text says why, and is for people to read."""


@dataclass(frozen=True, slots=True)
class Restored:
    run: Run
    form: Form
    keys: tuple[str, ...]
    """The locks that it had."""


def run_of(plan: Plan, command_id: str, emr: Emr, ledger: Ledger) -> Run:
    """A run that has not begun."""
    return Run(
        plan,
        command_id=command_id,
        emr=emr,
        ledger=ledger,
        sleep=asyncio.sleep,
        monotonic=clock.monotonic,
        paths={line.chain: line.path for line in plan.lines if line.path is not None},
    )


def restored(row: CommandRow, accounts: Accounts, ledger: Ledger) -> Restored:
    """Where the ledger says that it was. Raises BeyondRepair."""
    emr = _emr_of(row, accounts)
    stored = stored_of(row)
    try:
        run = run_of(stored.plan(), row.id, emr, ledger)
        run.restore(row.steps)
    except Exception as error:  # noqa: BLE001  whatever is wrong with one command must not keep the gateway from starting
        log.error("command %s can't be taken up: %s at %s", row.id, type(error).__name__, frames(error))
        raise BeyondRepair("What was stored of it does not fit together.") from None
    keys = [appointment_key(emr.tenant, id) for id in stored.claims]
    keys += [day_key(emr.tenant, *pair) for pair in stored.resource_days]
    form = Form(standard=stored.standard, emr=row.emr, single=stored.single, created=stored.created)
    return Restored(run, form, tuple(keys))


def stored_of(row: CommandRow) -> Stored:
    """Its plan and its form. Raises BeyondRepair."""
    if row.unreadable:
        raise BeyondRepair("What was stored of it can't be opened with the present master key.")
    try:
        return codec.load(row.payload)
    except codec.Unloadable as error:
        raise BeyondRepair(str(error)) from None


def _emr_of(row: CommandRow, accounts: Accounts) -> Emr:
    account = accounts.get((row.client, row.emr))
    if account is None:
        raise BeyondRepair("Its EMR account is not configured any more, or its credentials can't be opened.")
    if account.emr.tenant != row.tenant:
        raise BeyondRepair("Its EMR account leads to another EMR than it did then.")
    return account.emr
