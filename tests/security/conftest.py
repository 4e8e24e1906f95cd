"""A gateway and what it is attacked with; the two clients and their sandboxes are those of the end-to-end tests."""

from __future__ import annotations

from tests.e2e.conftest import api, config, http

__all__ = ["api", "config", "http"]
