"""Writes: a key is claimed, a plan is made and carried out, its end is written down, and only then it is told.

One command is one task, which no client's hanging up stops.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from gateway import clock, tracing
from gateway.answering import Answering, Form
from gateway.api import Circumstances, Principal, Reply
from gateway.audit import touched
from gateway.configuration.accounts import OpenAccount
from gateway.domain.commands import Command
from gateway.domain.errors import Busy, GatewayError, KeyReused, PlanChanged, RequestInProgress
from gateway.domain.plan import plan as planned
from gateway.domain.steps import Plan
from gateway.ending import Ending
from gateway.execute import codec
from gateway.execute.consult import Consultation
from gateway.execute.run import End, Run
from gateway.execute.stuck import begun, stuck
from gateway.frames import frames
from gateway.identifiers import with_emr_ids
from gateway.keys import Keys
from gateway.ledger import Answer, CommandRow, Ledger, LedgerDown, State
from gateway.locks import CriticalSections, Session
from gateway.manners.affording import afford, command_of
from gateway.manners.errand import Errand
from gateway.repair import Repair
from gateway.restoring import run_of
from gateway.vendor.http import Meter, meter
from gateway.wire import render_command

log = logging.getLogger("gateway.writing")


@dataclass(frozen=True, slots=True)
class Work:
    """A command with all that belongs to it."""

    id: str
    principal: Principal
    account: OpenAccount
    command: Command
    circumstances: Circumstances

    @property
    def form(self) -> Form:
        return Form(
            standard=self.circumstances.standard,
            emr=self.account.key,
            single=self.command.single,
            created=self.command.operation == "book",
        )


class Writing:
    def __init__(
        self,
        keys: Keys,
        ledger: Ledger,
        locks: CriticalSections,
        answering: Answering,
        repair: Repair,
        ending: Ending,
        *,
        lock_wait_s: float,
        key_ttl: timedelta,
    ) -> None:
        self._keys, self._ledger, self._locks = keys, ledger, locks
        self._answering, self._repair, self._ending = answering, repair, ending
        self._lock_wait_s, self._key_ttl = lock_wait_s, key_ttl
        self._running: set[asyncio.Task[Reply]] = set()
        self._of_clients: Counter[str] = Counter()
        self._leftovers: set[asyncio.Task[None]] = set()

    async def write(self, work: Work) -> Reply:
        """The answer, or where to ask for it once the client's wait is over."""
        # The key is claimed inside the task, too: a client that hangs up leaves no command behind that nobody runs.
        claimed = asyncio.Event()
        task = asyncio.create_task(self._begun(work, claimed))
        task.add_done_callback(_heard)
        task.add_done_callback(lambda _: claimed.set())
        self._counted(task, work.principal.client_id)
        # Whoever does not want to wait is told where to ask, and there must be something to be found there.
        await claimed.wait()
        await asyncio.wait({task}, timeout=work.circumstances.wait_s)
        # One that was handed over is gone on with by the next start.
        return task.result() if task.done() and not task.cancelled() else await self._pending(work)

    def _counted(self, task: asyncio.Task[Reply], client: str) -> None:
        def ended(task: asyncio.Task[Reply]) -> None:
            self._running.discard(task)
            self._of_clients[client] -= 1

        self._running.add(task)
        self._of_clients[client] += 1
        task.add_done_callback(ended)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    def running(self, client: str) -> int:
        """How many commands of a client are under way, whether or not anybody waits for them."""
        return self._of_clients[client]

    async def drain(self, seconds: float) -> None:
        """Let commands finish for a while."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    def cut_off(self) -> Sequence[asyncio.Task[Any]]:
        """Stop those that are still running: the next start takes them up. → what ends by this."""
        tasks = (*self._running, *self._leftovers)
        for task in tasks:
            task.cancel()
        return tasks

    async def _begun(self, work: Work, claimed: asyncio.Event) -> Reply:
        known = await self._begin(work)
        claimed.set()
        return await self._command(work) if known is None else self._replayed(known, work)

    async def _begin(self, work: Work) -> CommandRow | None:
        now = clock.now()
        row = self._row(work)
        try:
            known = await self._ledger.begin(row)
            if known is not None and known.state.settled and known.created_at < now - self._key_ttl:
                await self._ledger.purge(now - self._key_ttl)
                known = await self._ledger.begin(row)
        except LedgerDown:
            raise store_down() from None
        return known

    def _row(self, work: Work) -> CommandRow:
        key, now = work.circumstances.idempotency_key, clock.now()
        return CommandRow(
            id=work.id,
            client=work.principal.client_id,
            emr=work.account.key,
            tenant=work.account.emr.tenant,
            operation=work.command.operation,
            created_at=now,
            updated_at=now,
            key=None if key is None else self.key_of(work.principal, key),
            fingerprint=self._keys.hmac("fingerprint", work.circumstances.fingerprint),
            payload=codec.dump_standard(work.circumstances.standard),
            request_id=work.circumstances.request_id,
            touched=touched.asked(work.command),
        )

    def key_of(self, principal: Principal, key: str) -> str:
        return self._keys.hmac("idempotency-key", principal.client_id, key)

    def _replayed(self, row: CommandRow, work: Work) -> Reply:
        """The answer that the same request had; a key is good for one request only."""
        if row.fingerprint != self._keys.hmac("fingerprint", work.circumstances.fingerprint):
            raise KeyReused("This idempotency key was used with another request.")
        if row.unreadable and row.answer is None:
            raise GatewayError("What this idempotency key was answered can't be read any more.")
        if row.answer is None:
            raise RequestInProgress("The request with this idempotency key is still running.", retry_after=1)
        extra = (("idempotent-replayed", "true"), ("x-command-id", row.id), ("x-emr-calls", "0"))
        return Reply(status=row.answer.status, body=row.answer.body, headers=(*row.answer.headers, *extra))

    async def _pending(self, work: Work) -> Reply:
        """It goes on; this is where to ask for it."""
        try:
            row = await self._ledger.command(work.id, work.principal.client_id)
        except LedgerDown:
            row = self._row(work)
        if row is None:
            raise Busy("The gateway is being stopped; nothing was written.", retry_after=5)
        headers = (
            ("content-type", "application/json"),
            ("location", f"/api/commands/{work.id}"),
            ("retry-after", "2"),
            ("x-command-id", work.id),
        )
        return Reply(status=202, body=render_command(row).body, headers=headers)

    async def _command(self, work: Work) -> Reply:
        """From here on the command runs on its own. What is raised, was raised before anything was written."""
        traced = tracing.command(work.id, work.command.operation)
        with traced, meter() as spent, command_of(work.account) as who:
            try:
                answer = await self._carried_out(work, who)
            except LedgerDown:
                answer = self._answering.error(store_down(), work.circumstances.standard)
                self._later(self._refused(work, answer))
            except Exception as error:  # noqa: BLE001  our own bug, before any write: the client learns no more
                _failed(work, error)
                answer = self._answering.error(GatewayError("The gateway failed."), work.circumstances.standard)
                await self._refused(work, answer)
        return self._finished(work, answer, spent)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        """Nothing was sent, and the client need not wait until the store can say so."""
        task = asyncio.create_task(work)
        self._leftovers.add(task)
        task.add_done_callback(self._leftovers.discard)

    def _finished(self, work: Work, answer: Answer, spent: Meter) -> Reply:
        extra = (("x-command-id", work.id), ("x-emr-calls", str(spent.calls)))
        return Reply(status=answer.status, body=answer.body, headers=(*answer.headers, *extra))

    async def _carried_out(self, work: Work, who: Errand) -> Answer:
        """Plan and run; once more from the start where the world was another than the plan's."""
        tries_left, held = 1, self._locks.session(self._lock_wait_s)
        try:
            while True:
                try:
                    made = await self._planned(work, held, who)
                except GatewayError as error:
                    answer = self._answering.error(error, work.circumstances.standard)
                    await self._refused(work, answer)
                    return answer
                run = await self._prepared(work, made)
                end = await _carried(work, run)
                if not (end.stale and tries_left and end.state in (State.REFUSED, State.UNDONE)):
                    break
                tries_left -= 1
                held.release()
                held = self._locks.session(self._lock_wait_s)
            answer, stored = await self._ended(work, run, end)
            if stored in (State.RUNNING, State.REPAIRING):
                self._repair.take_over(work.id, run, work.form, held, stored)
                held = self._locks.session(0)  # The repair has the locks now.
            return answer
        finally:
            held.release()

    async def _ended(self, work: Work, run: Run, end: End) -> tuple[Answer, State]:
        """What the client is told, and the state that was written down; still the first one where we failed in it."""
        try:
            return await self._ending.of_run(work.id, run, end, work.form), end.state
        except Exception as error:  # noqa: BLE001  our own bug: repair will see that it is written down
            _failed(work, error)
            return self._answering.error(GatewayError("The gateway failed."), work.form.standard), State.RUNNING

    async def _planned(self, work: Work, held: Session | None, who: Errand) -> Plan:
        emr = work.account.emr
        command = await with_emr_ids(emr, work.command)
        planning = planned(command, emr.capabilities, self._answering.etag)
        made = await Consultation(emr, self._ledger, held).plan(planning)
        afford(work.account, made, who)
        expected = work.circumstances.expected_plan
        if expected is not None and not self._keys.same(expected, self._answering.digest(made)):
            raise PlanChanged("The plan is not the one that x-plan names any more.")
        return made

    async def _prepared(self, work: Work, made: Plan) -> Run:
        claimed = (id for line in made.lines if line.before for id in (line.before.id, line.before.confirms))
        claims = tuple(dict.fromkeys(id for id in claimed if id is not None))
        payload = codec.dump(
            made,
            standard=work.form.standard,
            single=work.form.single,
            created=work.form.created,
            claims=claims,
        )
        if any(made.stages):
            actions = [step.kind for _, step in made.steps()]
            about = touched.planned(made)
            data_key = work.account.data_key
            await self._ledger.plan(work.id, payload, actions, claims, clock.now(), touched=about, credential=data_key)
        return run_of(made, work.id, work.account.emr, self._ledger)

    async def _refused(self, work: Work, answer: Answer) -> None:
        """A refusal before any write is not remembered under its key."""
        await self._ending.write(work.id, work.command.operation, State.REFUSED, answer, release_key=True)

    async def dry_run(self, work: Work) -> Reply:
        with meter() as spent, command_of(work.account) as who:
            circumstances = replace(work.circumstances, expected_plan=None)
            made = await self._planned(replace(work, circumstances=circumstances), None, who)
        answer = await self._answering.preview(work.account.emr, made, work.form)
        extra = (("x-dry-run", "true"), ("x-plan", self._answering.digest(made)), ("x-emr-calls", str(spent.calls)))
        return Reply(status=answer.status, body=answer.body, headers=(*answer.headers, *extra))


async def _carried(work: Work, run: Run) -> End:
    try:
        return await run.carry_out()
    except LedgerDown:
        raise  # nothing was sent
    except Exception as error:
        if not begun(run):
            raise
        _failed(work, error)
        return stuck(run)


def _failed(work: Work, error: Exception) -> None:
    log.error("command %s failed: %s at %s", work.id, type(error).__name__, frames(error))


def _heard(task: asyncio.Task[Reply]) -> None:
    """Nobody may be there any more to be told of a refusal."""
    if not task.cancelled():
        task.exception()


def store_down() -> Busy:
    return Busy("The gateway's own store is down; nothing was written.", retry_after=5)
