"""What can be typed after `python -m gateway`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway.attention import terminal
from gateway.audit import terminal as audit_terminal
from gateway.credentials import terminal as stored
from gateway.new_plugin import terminal as new_plugin
from gateway.terminal.support_table import TABLES

Act = Callable[[argparse.Namespace], int]


def parser(acts: Mapping[str, Act], version: str) -> argparse.ArgumentParser:
    """`acts`: what each command does; it is given what was typed."""
    typed = argparse.ArgumentParser(prog="python -m gateway", description="The EMR appointment gateway.")
    typed.add_argument("--version", action="version", version=version)
    commands = typed.add_subparsers(required=True, metavar="COMMAND")
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("--config", type=Path, help="gateway.toml (else GATEWAY_CONFIG, else config/gateway.toml)")
    clients = argparse.ArgumentParser(add_help=False, parents=[config])
    clients.add_argument("--demo", action="store_true", help="use the demonstration's clients and sandbox")

    serve = commands.add_parser("serve", parents=[clients], help="serve clients until SIGTERM")
    serve.set_defaults(run=acts["serve"])
    check = commands.add_parser("check", parents=[clients], help="say every mistake in the configuration")
    check.add_argument("--connect", action="store_true", help="also read once from every EMR account")
    check.add_argument(
        "--client",
        action="append",
        default=[],
        metavar="ID",
        help="with --connect: also its accounts in the store; reads the client's secret (may be given several times)",
    )
    check.set_defaults(run=acts["check"])
    attend = commands.add_parser("commands", help="see commands that need a person, and settle them")
    terminal.add_commands(attend, clients)
    attend.set_defaults(run=acts["commands"])
    running = commands.add_parser(
        "status", parents=[config], help="say what the running gateway runs, and how EMRs stand"
    )
    running.add_argument("--json", action="store_true", help="for scripts")
    running.set_defaults(run=acts["status"])
    credentials = commands.add_parser("credentials", help="keep credentials of EMRs in the gateway's own store")
    stored.add_commands(credentials, config)
    credentials.set_defaults(run=acts["credentials"])
    record = commands.add_parser("audit", help="hold the record of who did what against its chain, and export it")
    audit_terminal.add_commands(record, config)
    record.set_defaults(run=acts["audit"])
    erase = commands.add_parser("erase", parents=[config], help="erase what the ledger still holds of somebody")
    terminal.add_erase(erase)
    erase.set_defaults(run=acts["commands"])
    backup = commands.add_parser(
        "backup", parents=[config], help="back up the state directory, also while it is in use"
    )
    backup.add_argument("target", type=Path, help="a directory that is not there yet")
    backup.set_defaults(run=acts["backup"])
    connect = commands.add_parser("connect", parents=[config], help="have an EMR account's owner let the gateway in")
    connect.add_argument("emr", help="the key of the EMR account")
    connect.add_argument("--client", help="whose it is, where several clients have one of that key")
    connect.add_argument("--port", type=int, default=0, help="of 127.0.0.1, where the EMR wants to know it (else any)")
    connect.set_defaults(run=acts["connect"])
    emrs = commands.add_parser("emrs", help="list the installed plugins and what they can do")
    emrs.add_argument(
        "--table",
        nargs="?",
        const="digest",
        choices=TABLES,
        help="as the table in README.md (digest), or as those in docs/emrs/README.md (complete)",
    )
    emrs.set_defaults(run=acts["emrs"])
    sandbox = commands.add_parser("sandbox", parents=[config], help="serve the sandbox EMR by itself")
    sandbox.add_argument("--port", type=int, default=8090, help="0: any free one (default: 8090)")
    sandbox.set_defaults(run=acts["sandbox"])
    new_plugin.add_command(commands).set_defaults(run=acts["new-plugin"])
    secret = commands.add_parser("secret", parents=[config], help="make a client's secret")
    secret.add_argument("client_id", help="whose secret it will be")
    secret.add_argument("--argon2", action="store_true", help="hash one that a person chose, from standard input")
    secret.add_argument(
        "--overlap-days", type=float, default=7.0, help="how long the present secret stays good (default: 7)"
    )
    secret.set_defaults(run=acts["secret"])
    return typed
