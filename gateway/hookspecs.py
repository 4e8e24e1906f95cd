"""The two hooks, synchronous and list-valued: they introduce and open. Calls to an EMR never go through pluggy."""

from __future__ import annotations

import pluggy

from gateway.port import Account, Emr, Vendor

PROJECT = "emr_gateway"
ENTRY_POINTS = "emr_gateway.v1"
"""The entry-point group; the version is that of the hooks."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def emr_vendor() -> Vendor:
    """Introduce the one vendor that this plugin speaks to."""
    raise NotImplementedError


@hookspec
def emr_open(account: Account) -> Emr:
    """Open an account of this vendor: no I/O here, only the object that will do it. May raise BadAccount."""
    raise NotImplementedError
