"""EMR credentials that the gateway keeps itself: opened by its key together with the secret of their client."""

from __future__ import annotations


class CantOpen(Exception):
    """A credential should be there, and can't be had. The text says why and what helps, and holds no secret."""


class Nothing(CantOpen):
    """There is none."""
