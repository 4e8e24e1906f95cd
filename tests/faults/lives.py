"""The lives of one gateway: processes on one state directory, each begun when the one before it is dead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.faults.dying import Life
from tests.faults.processes import Gateway

CLIENT = {"x-leyr-client-id": "one", "x-leyr-client-secret": "one-secret"}
CLIENTS = """\
demo = true

[[clients]]
id = "one"
secret = "plain:one-secret"

[clients.emrs.emr]
plugin = "sandbox"
settings = {{ base_url = "{base}", clinic = "{clinic}", api_key = "{clinic}-key", personality = "{personality}" }}
"""


def write_config(folder: Path, base: str, personality: str, clinic: str) -> Path:
    folder.mkdir()
    (folder / "clients.toml").write_text(CLIENTS.format(base=base, clinic=clinic, personality=personality))
    config = folder / "gateway.toml"
    config.write_text('state_dir = "state"\nclients = "clients.toml"\n')
    return config


class Lives:
    """`deaths`: the boundary at which each of them ends; after these comes one that is not cut short."""

    def __init__(self, config: Path, deaths: Sequence[int], planted: str | None) -> None:
        self._config, self._deaths, self._planted = config, list(deaths), planted
        self._lives: list[Gateway] = []
        self._doomed = False
        self.url = ""
        self.died_at: list[str] = []

    async def next(self) -> None:
        """Another one, and one more where it dies before it listens."""
        port = None
        while port is None:
            if self._lives:
                self.died_at += await self._lives[-1].buried()
            until = self._deaths.pop(0) if self._deaths else None
            self._doomed = until is not None
            again = len(self._lives) > 0
            self._lives.append(
                Gateway(Life(config=self._config, until=until, from_the_start=again, planted=self._planted))
            )
            port = await self._lives[-1].port()
        self.url = f"http://127.0.0.1:{port}"

    async def spare(self) -> None:
        """Nobody dies any more: for questions, which cross boundaries as well, and others in every run."""
        if self._doomed:
            await self._lives[-1].kill()
            await self.next()

    async def end(self) -> None:
        for life in self._lives:
            await life.kill()

    def boundaries(self) -> int:
        """How many the present one has come to."""
        return len(self._lives[-1].boundaries_now())
