"""What a client's new secret has to look like in the clients file."""

from __future__ import annotations

import argparse
import os
from datetime import timedelta

from gateway import clock
from gateway.clients.kept import overlapping
from gateway.configuration.settings import present_secrets


def secret_line(asked: argparse.Namespace, new: str) -> str:
    """The line for the clients file; where the client stands there already, with the secret that it has now."""
    now = clock.now()
    present = present_secrets(os.environ, asked.client_id, config=asked.config)
    kept = [f'"{text}"' for text in overlapping(new, present, now, now + timedelta(days=asked.overlap_days))]
    if len(kept) == 1:
        return f"secret = {kept[0]}"
    said = "# the present one stays good until the instant behind it; take it out afterwards"
    return f"{said}\nsecret = [{', '.join(kept)}]"
