"""The gateway against its own description: no 500, and no answer that `/openapi.json` does not promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import process
from tests.live.processes import free_port

CONFIG = Path(__file__).with_name("schemathesis.toml")
SCHEMATHESIS = Path(sys.executable).with_name("st")


def conducted(folder: Path, examples: int, phases: str, timeout_s: float = 150) -> str:
    """So many requests of each kind, to a gateway of its own; → what is said in the end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"PORT": str(port), "STATE_DIR": str(folder / "state")}
    with process(folder, "gateway", (f"{url}/readyz", 200), "serve", "--demo", **environment):
        found = subprocess.run(
            [
                *(str(SCHEMATHESIS), "--config-file", str(CONFIG), "run", f"{url}/openapi.json"),
                *("-H", "x-leyr-client-id: demo", "-H", "x-leyr-client-secret: demo-secret"),
                *("--phases", phases, "--max-examples", str(examples)),
                *("--generation-database", "none", "--no-color"),
            ],
            cwd=folder,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    told = found.stdout.decode()
    assert found.returncode == 0, told[-6000:] + found.stderr.decode()[-1000:]
    return told


@pytest.mark.faults
def test_no_request_gets_an_answer_that_the_description_does_not_promise(tmp_path):
    """A few of each kind; `make security` tries ten thousand, and every edge of every value."""
    assert "Test cases:" in conducted(tmp_path, 3, "examples,fuzzing")
