"""Asking for what must, or may, be refused."""

from __future__ import annotations

from collections.abc import Awaitable

import pytest

from gateway.port import Reason, Refused


async def refused(asking: Awaitable[object], *reasons: Reason) -> None:
    """It is refused for one of `reasons`; any other error or answer fails the case."""
    if await refusal(asking, *reasons) is None:
        pytest.fail(f"it was accepted; it should have been refused: {', '.join(reasons)}")


async def refusal(asking: Awaitable[object], *reasons: Reason) -> Reason | None:
    """Why it was refused, if it was: for one of `reasons`, or the case fails."""
    try:
        await asking
    except Refused as no:
        if no.reason not in reasons:
            pytest.fail(f'it was refused as "{no.reason}"; it should have been: {", ".join(reasons)}')
        return no.reason
    return None
