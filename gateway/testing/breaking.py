"""The fault matrix as a plugin's own tests inherit it: every method and every command, broken in every way."""

from __future__ import annotations

import pytest

from gateway.testing import commands, matrix
from gateway.testing.matrix import Opens, Tally

STRIDE = 211
"""Of so many ways to bend a single thing in an answer, and of so many cells of its commands, one is tried."""


class FaultMatrix:
    """Inherit it as `class TestAcmeBreaks(FaultMatrix)` and give it one fixture:

    @pytest.fixture
    def opens(self) -> Opens: ...      # worlds that nobody has touched yet; see `plainly`
    """

    @pytest.mark.asyncio
    async def test_only_the_ports_errors_come_out_of_it(self, opens: Opens, request: pytest.FixtureRequest) -> None:
        tally = await matrix.of_reads(opens, picks=matrix.one)
        tally.add(await matrix.of_writes(opens))
        tally.add(await matrix.of_reads_after_writes(opens))
        tally.add(await matrix.of_leaves(opens, STRIDE))
        _judge(tally, request)

    @pytest.mark.asyncio
    async def test_a_command_is_done_or_undone_or_refused_or_says_what_is_not(
        self, opens: Opens, request: pytest.FixtureRequest
    ) -> None:
        found = await commands.cells(opens)
        _judge(await commands.of_commands(opens, found[::STRIDE]), request)


def _judge(tally: Tally, request: pytest.FixtureRequest) -> None:
    request.node.user_properties.append(matrix.figures(tally))
    assert tally.cells
    assert not tally.breaches, "\n".join(tally.breaches[:20])
