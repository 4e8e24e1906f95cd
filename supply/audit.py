"""`python -m supply.audit PIP_AUDIT LOCK...`: known vulnerabilities in what the locks name.

An outside service knows them. Exit status: 0 it knows of none, 1 it knows of some, 3 it could not be asked, so that
nothing is known; that is no pass.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

NONE, SOME, UNKNOWN = 0, 1, 3
_PATIENCE_S = 300


def audit(command: str, locks: Sequence[str]) -> int:
    """→ the exit status; what was found is printed."""
    worst = NONE
    for lock in locks:
        found = _asked(command, lock)
        if isinstance(found, str):
            print(f"{lock}: NOT AUDITED: the service that knows of vulnerabilities could not be asked", file=sys.stderr)
            print(found, file=sys.stderr)
            return UNKNOWN
        for sentence in found:
            print(f"{lock}: {sentence}")
        print(f"{lock}: {len(found)} known vulnerabilities")
        worst = SOME if found else worst
    return worst


def _asked(command: str, lock: str) -> list[str] | str:
    """A sentence for each; or why there is no answer, or not one for all of them."""
    # The lock is complete: nothing has to be solved, downloaded or built for this.
    asking = [command, "--require-hashes", "--disable-pip", "--progress-spinner=off", "--format=json", "-r", lock]
    try:
        done = subprocess.run(asking, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return type(error).__name__
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, LookupError, TypeError):
        return " ".join(done.stderr.split())[-300:]
    if not packages or any("vulns" not in package for package in packages):
        return "it told nothing of some packages"
    return [_sentence(package, flaw) for package in packages for flaw in package["vulns"]]


def _sentence(package: dict[str, Any], flaw: dict[str, Any]) -> str:
    mended = ", ".join(flaw["fix_versions"]) or "no version"
    return f"{package['name']} {package['version']}: {flaw['id']}, mended in {mended}"


if __name__ == "__main__":
    sys.exit(audit(sys.argv[1], sys.argv[2:]))
