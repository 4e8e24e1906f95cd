"""The command line, `python -m gateway`: what each of its commands does."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from importlib.metadata import version

from starlette.applications import Starlette

from gateway import __version__, app, logs, serving, tracing
from gateway.attention import control, status, terminal
from gateway.attention.attending import CantBe
from gateway.audit import terminal as audit_terminal
from gateway.audit.chain import Broken
from gateway.backup import CantBackUp, back_up
from gateway.configuration.reloading import Read
from gateway.configuration.settings import Settings, examine, load_without_clients
from gateway.configuration.toml_files import ConfigError
from gateway.credentials import CantOpen
from gateway.held import keys_of, ledger_path
from gateway.keys import BadKey, WrongKey
from gateway.ledger import LedgerDown
from gateway.ledger.schema import NewerSchema
from gateway.new_plugin import terminal as new_plugin
from gateway.port import PLUGIN_API
from gateway.registry import PluginError, Registry
from gateway.routes import metrics_app
from gateway.state_dir import StateDirBusy, StateDirUnusable
from gateway.terminal import checking, demo, embedded, operating
from gateway.terminal.arguments import Act, parser
from gateway.terminal.described import described
from gateway.terminal.support_table import TABLES

_SAID = (
    ConfigError,
    PluginError,
    BadKey,
    WrongKey,
    Broken,
    LedgerDown,
    NewerSchema,
    CantBe,
    CantBackUp,
    CantOpen,
    StateDirBusy,
    StateDirUnusable,
    serving.PortTaken,
)
"""What is the operator's to mend: its text is shown, without a traceback."""
_LAST_ANSWERS_S = 2.0
"""How long what has been answered may take to be sent, once everything is at an end or handed over."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 done, 1 what was asked for can't be done (and standard error says why)."""
    asked = parser(_ACTS, _version()).parse_args(arguments)
    app.pin_time_zones()
    try:
        return int(asked.run(asked))
    except _SAID as error:
        for sentence in error.args:
            print(sentence, file=sys.stderr)
        return 1


def _version() -> str:
    zones = f"tzdata {version('tzdata')}"
    return f"emr-gateway {__version__} (plugin API {PLUGIN_API}, {zones}, Python {platform.python_version()})"


# -- serve ------------------------------------------------------------------------------------------------------------


def _serve(asked: argparse.Namespace) -> int:
    passed = serving.inherited(os.environ)
    if passed is not None:
        # Where it listens is what counts for everything that depends on that.
        os.environ["HOST"], os.environ["PORT"] = map(str, passed.getsockname()[:2])
    settings = _settings(asked)
    logs.configure()
    with ExitStack() as opened:
        bound = passed or serving.bound(settings.server.host, settings.server.port)
        listening = opened.enter_context(closing(bound))
        port = listening.getsockname()[1]
        asked_for, settings = settings, replace(settings, server=settings.server.model_copy(update={"port": port}))
        elsewhere = settings.metrics_address
        apart = opened.enter_context(closing(serving.bound(*elsewhere))) if elsewhere else None
        again = partial(_again, asked, asked_for, settings)
        serving.run(partial(_serving, settings, again, listening, apart, hands_on=passed is not None))
    return 0


def _again(asked: argparse.Namespace, asked_for: Settings, settings: Settings) -> tuple[Settings, list[str]]:
    """What is on the disk now; port 0 is still the port that it became."""
    found, mistakes = examine(os.environ, config=asked.config, demo=asked.demo)
    return (replace(found, server=settings.server) if found.server == asked_for.server else found), mistakes


async def _serving(
    settings: Settings,
    read: Read,
    listening: socket.socket,
    apart: socket.socket | None,
    stop: serving.Stop,
    *,
    hands_on: bool,
) -> None:
    """The gateway on one socket, and `/metrics` on another if there is one."""
    stop.hung_up = lambda: None  # who asks to read again while it starts is early enough
    metrics, traced = app.metrics_registry(), settings.tracing
    async with (
        tracing.sent_to(traced.endpoint, traced.share),
        app.opened(settings, metrics, read=read) as service,
    ):
        if service.reloading is not None:
            stop.hung_up = service.reloading.hurry
        await service.start()
        application = app.application(service, settings, None if apart else metrics)
        lines = await demo.lines(application, settings) if settings.demo else []
        servers = [(_server(application, partial(_announce, settings, lines), hands_on=hands_on), listening)]
        if apart is not None:
            servers.append((_server(metrics_app(metrics, service.count)), apart))
        with control.bound(settings.state_dir) as operators:
            if operators is not None:
                servers.append(
                    (_server(control.app(service.attending, partial(service.status, _version()))), operators)
                )
            for _, other in servers[1:]:
                other.listen()  # so that they take connections no later than the gateway is announced
            await stop.serve(*servers, doors=service, drain_s=settings.limits.drain_s)


def _server(
    application: Starlette, announce: Callable[[], None] = lambda: None, *, hands_on: bool = False
) -> serving.Server:
    return serving.Server(application, drain_s=_LAST_ANSWERS_S, announce=announce, hands_on=hands_on)


def _announce(settings: Settings, lines: Sequence[str]) -> None:
    print(f"{_version()} listens on {settings.public_url}; its description is at {settings.public_url}/docs")
    print("\n".join(lines), flush=True)


# -- check ------------------------------------------------------------------------------------------------------------


def _settings(asked: argparse.Namespace) -> Settings:
    """Settings without a mistake, their plugins' part included. Raises ConfigError with all mistakes."""
    settings, found = examine(os.environ, config=asked.config, demo=asked.demo)
    found += app.mistakes_in(settings)
    if found:
        raise ConfigError(*found)
    return settings


def _check(asked: argparse.Namespace) -> int:
    settings = _settings(asked)
    accounts = sum(len(client.emrs) for client in settings.clients)
    print(f"The configuration is right: {len(settings.clients)} clients, {accounts} EMR accounts.")
    for note in operating.notes_on(settings):
        print(note)
    if not asked.connect:
        return 0
    result = checking.checked(settings, asked.client)
    for note in result.untried:
        print(note)
    if result.failed:
        raise ConfigError(*result.failed)
    print(result)
    return 0


# -- commands ---------------------------------------------------------------------------------------------------------


def _commands(asked: argparse.Namespace) -> int:
    settings = load_without_clients(os.environ, config=asked.config)
    try:
        return asyncio.run(_attended(asked, settings))
    except KeyboardInterrupt:
        raise CantBe("It is not at an end yet. The gateway goes on with it when it starts.") from None


async def _attended(asked: argparse.Namespace, settings: Settings) -> int:
    """By the gateway that runs on the state directory; by this process, if none does."""
    try:
        return await terminal.answered(asked, control.Control(settings.state_dir))
    except control.NobodyThere:
        pass
    if not ledger_path(settings).exists():
        raise CantBe(f"STATE_DIR {settings.state_dir} has no ledger.")
    try:
        return await _attended_alone(asked, settings)
    except StateDirBusy as error:
        raise CantBe(f"{error} It does not answer; if it is starting or stopping, try again.") from None


async def _attended_alone(asked: argparse.Namespace, settings: Settings) -> int:
    if asked.act == "retry":
        async with app.opened(_settings(asked), serving=False) as service:
            return await terminal.answered(asked, service.attending)
    async with app.attending(settings) as attending:
        return await terminal.answered(asked, attending)


def _status(asked: argparse.Namespace) -> int:
    settings = load_without_clients(os.environ, config=asked.config)
    try:
        told = asyncio.run(control.Control(settings.state_dir).status())
    except control.NobodyThere:
        raise CantBe(f"No gateway runs on STATE_DIR {settings.state_dir}.") from None
    print(told.model_dump_json(indent=2) if asked.json else "\n".join(status.lines(told)))
    return 0


def _backup(asked: argparse.Namespace) -> int:
    settings = load_without_clients(os.environ, config=asked.config)
    print(f"{asked.target}: {', '.join(back_up(settings.state_dir, asked.target))}")
    where = settings.key or settings.state_dir / "gateway.key"
    print(f"The master key ({where}) is not in it; without it the copy is worth nothing. Keep it, in another place.")
    return 0


# -- audit ------------------------------------------------------------------------------------------------------------


def _audit(asked: argparse.Namespace) -> int:
    settings = load_without_clients(os.environ, config=asked.config)
    return audit_terminal.answered(asked, ledger_path(settings), keys_of(settings, create=False))


# -- credentials ------------------------------------------------------------------------------------------------------


def _credentials(asked: argparse.Namespace) -> int:
    if asked.act == "rotate-key":
        count = operating.rotate_key(load_without_clients(os.environ, config=asked.config), asked.to)
        print(f"The new key is in use from the next start on; {count} credentials are sealed with it.")
        print(f'Say key = "{asked.to}" in gateway.toml now.' if asked.to else "Back it up, with former-keys.json.")
        return 0
    # What else is wrong with the configuration is for `check` to say.
    settings, _ = examine(os.environ, config=asked.config)
    operating.credentials(settings, asked)
    return 0


def _connect(asked: argparse.Namespace) -> int:
    settings, _ = examine(os.environ, config=asked.config)
    asyncio.run(operating.connect(settings, asked.emr, asked.client, asked.port))
    return 0


# -- emrs -------------------------------------------------------------------------------------------------------------


def _emrs(asked: argparse.Namespace) -> int:
    registry = Registry.load()
    vendors = tuple(registry.vendors.values())
    print(TABLES[asked.table](vendors) if asked.table else "\n\n".join(map(described, vendors)))
    for sentences in registry.broken.values():
        print(*sentences, sep="\n", file=sys.stderr)
    return 1 if registry.broken else 0


# -- secret -----------------------------------------------------------------------------------------------------------


def _secret(asked: argparse.Namespace) -> int:
    operating.secret(load_without_clients(os.environ, config=asked.config), asked)
    return 0


_ACTS: Mapping[str, Act] = {
    "serve": _serve,
    "check": _check,
    "commands": _commands,
    "status": _status,
    "backup": _backup,
    "credentials": _credentials,
    "audit": _audit,
    "connect": _connect,
    "emrs": _emrs,
    "new-plugin": new_plugin.answered,
    "sandbox": embedded.serve_sandbox,
    "secret": _secret,
}


if __name__ == "__main__":
    sys.exit(main())
