"""The ledger's own fixtures."""

from tests.ledger.conftest import keys, ledger

__all__ = ["keys", "ledger"]
