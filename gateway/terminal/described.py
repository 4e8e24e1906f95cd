"""What a plugin declares, for a terminal: what its accounts can do at most, and what the editions do otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from gateway.domain.capabilities import Capabilities
from gateway.domain.editions import Edition
from gateway.port import Vendor
from gateway.terminal.support_table import how
from gateway.wire import abilities


def described(vendor: Vendor) -> str:
    """Lines about one plugin; what no EMR can do by itself is left out."""
    most = vendor.capabilities
    lines = [f"{vendor.key}: {vendor.name}", *_differences(most, Capabilities(), "  "), "  editions:"]
    for edition in vendor.comes_in:
        lines += [f"    {_introduced(edition)}", *_differences(edition.capabilities, most, "      ")]
    return "\n".join(lines)


def _introduced(edition: Edition) -> str:
    return f"{edition.name} ({edition.title}): tested {how(edition, abilities(edition.capabilities))}"


def _differences(can: Capabilities, usual: Capabilities, margin: str) -> Iterator[str]:
    for field in fields(Capabilities):
        value = getattr(can, field.name)
        if value != getattr(usual, field.name):
            yield f"{margin}{field.name}: {_shown(value)}"


def _shown(value: object) -> str:
    match value:
        case frozenset():
            return ", ".join(sorted(value)) or "none"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)
