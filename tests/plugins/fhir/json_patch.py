"""RFC 6902 as far as servers of FHIR use it. Raises `Failed` where a test fails or a path leads nowhere."""

from __future__ import annotations

import copy
from typing import Any


class Failed(Exception):
    pass


def apply(document: dict[str, Any], ops: list[dict[str, Any]]) -> dict[str, Any]:
    """The document after all operations, or `Failed` and no change at all."""
    changed = copy.deepcopy(document)
    for op in ops:
        parent, key = _place(changed, op["path"])
        _OPS[op["op"]](parent, key, op)
    return changed


def _place(document: Any, path: str) -> tuple[Any, str]:
    if not path.startswith("/"):
        raise Failed
    *way, key = [part.replace("~1", "/").replace("~0", "~") for part in path[1:].split("/")]
    for part in way:
        document = _at(document, part)
    return document, key


def _at(parent: Any, key: str) -> Any:
    try:
        return parent[_index(parent, key)] if isinstance(parent, list) else parent[key]
    except (KeyError, IndexError, TypeError):
        raise Failed from None


def _index(parent: list[Any], key: str) -> int:
    if not key.isdigit():
        raise Failed
    return int(key)


def _add(parent: Any, key: str, op: dict[str, Any]) -> None:
    if isinstance(parent, dict):
        parent[key] = op["value"]
    elif key == "-":
        parent.append(op["value"])
    elif _index(parent, key) <= len(parent):
        parent.insert(int(key), op["value"])
    else:
        raise Failed


def _replace(parent: Any, key: str, op: dict[str, Any]) -> None:
    _at(parent, key)
    parent[_index(parent, key) if isinstance(parent, list) else key] = op["value"]


def _remove(parent: Any, key: str, op: dict[str, Any]) -> None:
    _at(parent, key)
    del parent[_index(parent, key) if isinstance(parent, list) else key]


def _test(parent: Any, key: str, op: dict[str, Any]) -> None:
    if _at(parent, key) != op["value"]:
        raise Failed


_OPS = {"add": _add, "replace": _replace, "remove": _remove, "test": _test}
