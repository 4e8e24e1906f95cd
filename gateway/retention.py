"""What is forgotten when: settled commands soon, the audit after years."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.audit import Mark
from gateway.audit.chain import Broken
from gateway.ledger import Ledger

log = logging.getLogger("gateway.audit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long things are kept."""

    commands: timedelta = timedelta(hours=24)
    """Settled ones, with their keys and answers."""
    audit: timedelta = timedelta(days=1830)
    renamed: timedelta = timedelta(days=730)
    """Former ids of appointments, since their last change."""


class Keeping:
    """Forgets what has had its time, and tells where the audit has come to."""

    def __init__(self, ledger: Ledger, retention: Retention) -> None:
        self._ledger, self._retention = ledger, retention
        self._told: Mark | None = None

    async def keep(self, now: datetime) -> None:
        """Raises LedgerDown."""
        await self._ledger.purge(now - self._retention.commands)
        await self._ledger.forget_renamed(now - self._retention.renamed)
        await self._forget_audit(now)
        await self._ledger.scrub()
        await self._tell_head()

    async def _forget_audit(self, now: datetime) -> None:
        # Day by day: that something was forgotten is an entry, too.
        oldest = (now - self._retention.audit).replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            await self._ledger.forget_audit(oldest, now)
        except Broken as error:
            log.error("audit: nothing old is forgotten, since the record is not whole. %s", error)

    async def _tell_head(self) -> None:
        """Elsewhere than beside the record: nobody can put an older one in its place unseen."""
        head = await self._ledger.head()
        if head != self._told:
            log.info("audit: the head is %s", head)
            self._told = head
