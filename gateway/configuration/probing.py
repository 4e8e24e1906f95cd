"""Asking every account once what it can do: proof of credentials and reach, and maybe less than its plugin declares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

from gateway.configuration.accounts import OpenAccount
from gateway.domain.editions import beyond
from gateway.port import EmrError, NotSent, Refused, Throttled
from gateway.registry import PluginError

log = logging.getLogger("gateway.configuration.probing")

PATIENCE_S = 5.0
"""How long a start waits for EMRs, in seconds; one that is down must not keep the others from being served."""
AGAIN_S = 60.0
"""How long after a failed probe the next one is made, in seconds."""


async def probe(account: OpenAccount) -> None:
    """Narrow the account's capabilities to what the EMR really offers. Raises EmrError, PluginError where it adds."""
    emr, edition = account.emr, account.edition
    found = await emr.probe()
    configured = emr.capabilities
    if more := ", ".join(beyond(found, edition.capabilities)):
        raise PluginError(f"plugin {account.plugin}: a probe finds more than the edition {edition.name} claims: {more}")
    emr.capabilities = replace(found, slot_check=configured.slot_check, notify=configured.notify)
    account.door.manners.pace.declare(emr.capabilities)


def reason(error: EmrError) -> str:
    """What a failed probe means, in words without the EMR's own."""
    match error:
        case Refused():
            what = f"it refuses ({error.reason})"
        case NotSent():
            what = ": ".join(filter(None, ("it can't be reached", str(error))))
        case Throttled():
            what = "it asks to come back later"
        case _:
            what = "its answer is late or makes no sense"
    return f"{what}, {error.emr_code}" if error.emr_code else what


class Probing:
    """Within it accounts are probed until they have answered once."""

    def __init__(self) -> None:
        self._tasks: dict[int, tuple[OpenAccount, asyncio.Task[None]]] = {}

    async def begin(self, accounts: Iterable[OpenAccount]) -> None:
        """Waits a little for all of them."""
        tasks = [self._begin(account) for account in accounts]
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_S)

    def go_on(self, accounts: Iterable[OpenAccount], answered: Iterable[OpenAccount]) -> None:
        """From now on these are all there are; what has been `answered` already needs no more."""
        now = {id(account): account for account in accounts}
        for gone in self._tasks.keys() - now.keys():
            self._tasks.pop(gone)[1].cancel()
        for new in now.keys() - self._tasks.keys() - set(map(id, answered)):
            self._begin(now[new])

    def keep_on(self, account: OpenAccount) -> None:
        """Until it answers; nobody waits for that."""
        self._begin(account)

    def end(self, account: OpenAccount) -> None:
        """Nobody wants to know any more."""
        _, task = self._tasks.pop(id(account), (account, None))
        if task is not None:
            task.cancel()

    def has_answered(self, account: OpenAccount) -> bool:
        """Has it proved its credentials and what it can do, once?"""
        known = self._tasks.get(id(account))
        return known is None or (known[1].done() and not known[1].cancelled())

    def _begin(self, account: OpenAccount) -> asyncio.Task[None]:
        task = asyncio.create_task(_until_answered(account))
        self._tasks[id(account)] = account, task
        return task

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [task for _, task in self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def answers(account: OpenAccount) -> bool:
    """One probe, of `PATIENCE_S` at most. → whether it answered.

    Raises Refused where the EMR does not take its credentials, PluginError: there it is of no use to go on.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            await probe(account)
    except Refused as error:
        if error.reason == "credentials":
            raise
        return False
    except (EmrError, TimeoutError):
        return False
    return True


async def _until_answered(account: OpenAccount) -> None:
    while True:
        try:
            await probe(account)
        except EmrError as error:
            log.warning("EMR %s of client %s: the probe failed: %s", account.key, account.client_id, reason(error))
        except Exception as error:  # noqa: BLE001  a plugin's bug in one account must not be silent
            log.error("EMR %s of client %s: the probe raised %s", account.key, account.client_id, type(error).__name__)
        else:
            return
        await asyncio.sleep(AGAIN_S)
