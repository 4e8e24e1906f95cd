"""The Dockerfile, read: its stages, and its steps as they can be carried out without a container engine."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Stage:
    base: str
    name: str = ""
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and what follows it, in order."""

    def all(self, instruction: str) -> list[str]:
        return [rest for name, rest in self.steps if name == instruction]

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for line in self.all("ENV") for pair in shlex.split(line))


def read(path: Path = ROOT / "Dockerfile") -> list[Stage]:
    stages: list[Stage] = []
    lines = re.sub(r"\\\n\s*", " ", path.read_text()).splitlines()
    for line in filter(None, (line.strip() for line in lines if not line.startswith("#"))):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name))
        else:
            stages[-1].steps.append((instruction, rest.strip()))
    return stages


def exec_form(rest: str) -> list[str]:
    """What `CMD [...]` runs. Raises ValueError where it would be run by a shell, which passes on no signal."""
    return list(json.loads(rest))
