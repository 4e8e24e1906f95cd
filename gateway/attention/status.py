"""What runs, for the gateway's operator: which version, which configuration, and how each EMR account stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from pydantic import BaseModel

from gateway.api import Configured
from gateway.configuration.accounts import Key, OpenAccount
from gateway.manners.shared import Standing


class AccountStatus(BaseModel):
    client: str
    emr: str
    plugin: str
    edition: str
    standing: Standing


class ConfigurationStatus(BaseModel):
    digest: str
    since: datetime
    differs_on_disk: bool
    refused: list[str]
    """Why what lies on the disk does not run."""


class Status(BaseModel):
    version: str
    configuration: ConfigurationStatus | None
    accounts: list[AccountStatus]


def status(version: str, configured: Configured | None, accounts: Mapping[Key, OpenAccount]) -> Status:
    return Status(
        version=version,
        configuration=None if configured is None else _configuration(configured),
        accounts=[_account(account) for account in accounts.values()],
    )


def lines(told: Status) -> Iterator[str]:
    """For people to read."""
    yield told.version
    if (running := told.configuration) is not None:
        yield f"configuration {running.digest} since {running.since:%Y-%m-%d %H:%M:%S} UTC"
        if running.differs_on_disk:
            yield "another one lies on the disk and does not run:"
        yield from (f"  {sentence}" for sentence in running.refused)
    for account in told.accounts:
        yield f"{account.standing:11}  {account.client}/{account.emr}  ({account.plugin}, {account.edition})"


def _configuration(configured: Configured) -> ConfigurationStatus:
    return ConfigurationStatus(
        digest=configured.digest,
        since=configured.since,
        differs_on_disk=configured.differs,
        refused=list(configured.refused),
    )


def _account(account: OpenAccount) -> AccountStatus:
    return AccountStatus(
        client=account.client_id,
        emr=account.key,
        plugin=account.plugin,
        edition=account.edition.name,
        standing=account.door.manners.standing,
    )
