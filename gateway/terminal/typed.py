"""Secrets that a person types, or that come by standard input: never as arguments, which everybody can see."""

from __future__ import annotations

import getpass
import sys

from gateway.configuration.toml_files import ConfigError
from gateway.credentials import CantOpen

_SHORTEST_CHOSEN = 12


def asked_for(*prompts: str) -> tuple[str, ...]:
    """From standard input each is a line, and the last one is all that is left. Raises CantOpen."""
    if sys.stdin.isatty():
        told = [getpass.getpass(f"{prompt}: ") for prompt in prompts]
    else:
        told = [line.strip("\r\n") for line in sys.stdin.read().split("\n", len(prompts) - 1)]
    if len(told) < len(prompts) or not all(told):
        raise CantOpen(f"Wanted are, a line each: {', '.join(prompts)}.")
    return tuple(told)


def as_sent(secret: str) -> str:
    """A client's secret as it reaches the gateway in a header: its bytes, read as Latin-1."""
    return secret.encode().decode("latin-1")


def chosen() -> str:
    """A secret that a person chooses for a client. Raises ConfigError for a short one."""
    told = getpass.getpass("Secret: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if len(told) < _SHORTEST_CHOSEN:
        raise ConfigError(f"a secret that a person chooses should have {_SHORTEST_CHOSEN} characters or more")
    return told
