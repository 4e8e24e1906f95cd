"""Asking every account once what it can do: proof of credentials and reach, and maybe less than its plugin declares."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from gateway.accounts import OpenAccount
from gateway.domain.editions import beyond
from gateway.port import EmrError, NotSent, Refused, Throttled
from gateway.registry import PluginError

log = logging.getLogger("gateway.probing")

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


@asynccontextmanager
async def probed(accounts: Iterable[OpenAccount]) -> AsyncIterator[None]:
    """Within it every account is probed until it has answered once; entering waits a little for all of them."""
    tasks = {asyncio.create_task(_until_answered(account)) for account in accounts}
    try:
        if tasks:
            await asyncio.wait(tasks, timeout=PATIENCE_S)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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
