"""The sandbox: an EMR to try the gateway with, and the plugin that speaks to it."""

from __future__ import annotations

from gateway.plugin import Account, ApiKey, Edition, Emr, Vendor, hookimpl
from plugins.sandbox.emr import build_app
from plugins.sandbox.plugin import SandboxEmr
from plugins.sandbox.settings import DECLARED, TITLES, WIDEST, Settings
from plugins.sandbox.wire import problem

__all__ = ["SandboxEmr", "Settings", "build_app", "emr_open", "emr_vendor"]


def _editions() -> tuple[Edition, ...]:
    """The personalities."""
    return tuple(
        Edition(name=name, title=TITLES[name], capabilities=can, tested="own", against="the sandbox itself")
        for name, can in DECLARED.items()
    )


@hookimpl
def emr_vendor() -> Vendor:
    return Vendor(
        key="sandbox",
        name="Sandbox EMR",
        settings=Settings,
        emr=SandboxEmr,
        capabilities=WIDEST,
        editions=_editions(),
        embedded=build_app,
    )


@hookimpl
def emr_open(account: Account) -> Emr:
    settings = account.settings
    assert isinstance(settings, Settings)
    http = account.door.http(
        base_url=settings.address,
        auth=ApiKey("x-clinic-key", settings.api_key),
        problem=problem,
    )
    return SandboxEmr(http, settings, account.tells)
