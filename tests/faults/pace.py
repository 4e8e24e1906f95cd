"""How long things take here: less than in life, and each long enough for what is before it. In seconds."""

LEAVES_S = 0.05
"""How long a request is given to leave the gateway's process before that dies."""
HOLD_S, SETTLE_S = 0.2, 0.05
"""After how long a write is carried out that is held back; the same for one that was accepted, beyond that."""
LATE_S, SETTLES_S = 0.8, 1.2
"""How late the gateway takes it that a write may come through, and an accepted one may show."""
