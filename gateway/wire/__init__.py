"""The client's JSON: bodies into intents, outcomes and errors into answers. It knows nothing of HTTP's routes."""

from gateway.wire.abilities import abilities, cells, tested
from gateway.wire.parse import booking, fingerprint, patch_many, patch_one
from gateway.wire.render import (
    render_accounts,
    render_command,
    render_commands,
    render_entries,
    render_outcome,
    render_slots,
)
from gateway.wire.standards import LEYR, STANDARDS, Standard, read_error, render_error, speaking
from gateway.wire.values import typed_id

__all__ = [
    "LEYR",
    "STANDARDS",
    "Standard",
    "abilities",
    "booking",
    "cells",
    "fingerprint",
    "patch_many",
    "patch_one",
    "read_error",
    "render_accounts",
    "render_command",
    "render_commands",
    "render_entries",
    "render_error",
    "render_outcome",
    "render_slots",
    "speaking",
    "tested",
    "typed_id",
]
