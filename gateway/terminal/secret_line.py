"""What a client's new secret has to look like in the clients file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from gateway import clock
from gateway.clients.kept import overlapping


def secret_line(new: str, present: Sequence[str], overlap_days: float) -> str:
    """The line for the clients file; where the client stands there already, with the `present` secrets."""
    now = clock.now()
    kept = [f'"{text}"' for text in overlapping(new, present, now, now + timedelta(days=overlap_days))]
    if len(kept) == 1:
        return f"secret = {kept[0]}"
    said = "# the present one stays good until the instant behind it; take it out afterwards"
    return f"{said}\nsecret = [{', '.join(kept)}]"
