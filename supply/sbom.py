"""`python -m supply.sbom requirements.lock`: what an installation from this lock consists of, as CycloneDX 1.6.

It is made of the lock alone, so that the same lock gives the same bytes wherever it is made.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tomllib
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from supply.locks import Pinned, read

ROOT = Path(__file__).parents[1]


def bill(lock: Path, project: dict[str, Any]) -> dict[str, Any]:
    """`project`: that table of pyproject.toml."""
    pinned, own = read(lock), f"pkg:pypi/{project['name']}@{project['version']}"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, own + digest)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": project["name"],
                "version": project["version"],
                "licenses": [{"expression": project["license"]}],
                "purl": own,
            },
            "properties": [{"name": "emr-gateway:lock", "value": f"{lock.name} sha256:{digest}"}],
        },
        "components": [_component(one) for one in pinned],
        "dependencies": _dependencies(pinned, project["name"], own),
    }


def _component(one: Pinned) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": "library",
        "bom-ref": _ref(one),
        "name": one.name,
        "version": one.version,
        "purl": _ref(one),
        # Of each file that it may have been installed from: a wheel for each platform, and the source.
        "hashes": [{"alg": "SHA-256", "content": hash} for hash in one.hashes],
    }
    if one.marker:
        told["properties"] = [{"name": "emr-gateway:marker", "value": one.marker}]
    return told


def _dependencies(pinned: Sequence[Pinned], project: str, own: str) -> list[dict[str, Any]]:
    refs = {project: own} | {one.name: _ref(one) for one in pinned}
    return [
        {"ref": ref, "dependsOn": sorted(_ref(one) for one in pinned if name in one.wanted_by)}
        for name, ref in refs.items()
    ]


def _ref(one: Pinned) -> str:
    return f"pkg:pypi/{one.name}@{one.version}"


if __name__ == "__main__":
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    json.dump(bill(Path(sys.argv[1]), about), sys.stdout, indent=1)
    print()
