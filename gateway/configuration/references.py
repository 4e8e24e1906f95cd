"""References to secrets, in place of the secrets: `env:NAME`, `file:PATH`, `store:NAME`, and what third parties add.

Third parties' kinds are entry points of the group `emr_gateway.references.v1`. The entry point's name is the kind, and
what it names is called with what follows the colon, when the configuration is read:

    def vault(where: str) -> str: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from gateway.configuration.toml_files import read_text
from gateway.declared import KEY

ENTRY_POINTS = "emr_gateway.references.v1"
"""The entry-point group; the version is that of what is called."""
HINT = "env:NAME or file:PATH"
STORE = "store"
GRANT = "grant"
"""What the store calls what `connect` brings."""
_OWN = ("env", "file", STORE)
_NEVER = frozenset({"http", "https", "urn", "hmac", "argon2", "plain"})
"""What begins many a text that is no reference."""


class Stored(str):
    """The name of a credential in the gateway's own store, standing where its value will."""

    __slots__ = ()


def is_reference(value: object) -> bool:
    return isinstance(value, str) and _kind(value) is not None


def replaced(
    values: Mapping[str, Any],
    place: str,
    path: Path,
    environ: Mapping[str, str],
    found: list[str],
    *,
    storable: bool = False,
) -> Any:
    """`values` with every reference in them replaced; a path is relative to the file at `path`.

    Every mistake becomes a sentence in `found`. What is in the gateway's store (if it may be: `storable`) is not looked
    up: it stands there as `Stored`.
    """

    def replace(value: Any, where: str) -> Any:
        if isinstance(value, Mapping):
            return {name: replace(inner, f"{where}.{name}") for name, inner in value.items()}
        if isinstance(value, list):
            return [replace(inner, f"{where}.{index}") for index, inner in enumerate(value)]
        if not is_reference(value):
            return value
        try:
            told = looked_up(value, path.parent, environ)
        except LookupError as error:
            found.append(f"{where} {error}")
            return value
        if isinstance(told, Stored) and not storable:
            found.append(f"{where} can't be in the gateway's own store; refer to it as {HINT}")
        return told

    return replace(values, place)


def looked_up(reference: str, directory: Path, environ: Mapping[str, str]) -> str:
    """What it refers to. Raises LookupError with the end of a sentence, which shows nothing of it."""
    kind, _, where = reference.partition(":")
    match kind:
        case "env":
            return _from_environment(where, environ)
        case "file":
            return _from_file(where, directory)
        case "store":
            return _from_store(where)
        case _:
            return _from_elsewhere(kind, where)


def stored_in(value: object) -> Iterator[Stored]:
    """The names of the credentials of the gateway's store that `replaced` has left there."""
    if isinstance(value, Stored):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from stored_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from stored_in(inner)


def with_stored(value: Any, credentials: Mapping[str, str]) -> Any:
    """The same with the credentials in their places. Raises KeyError for one that is not among them."""
    if isinstance(value, Stored):
        return credentials[value]
    if isinstance(value, Mapping):
        return {name: with_stored(inner, credentials) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_stored(inner, credentials) for inner in value]
    return value


def _kind(value: str) -> str | None:
    kind, colon, _ = value.partition(":")
    return kind if colon and (kind in _OWN or kind in _others()) else None


@cache
def _others() -> Mapping[str, metadata.EntryPoint]:
    """By kind. What two packages offer is nobody's: which of them would be asked is left to no accident."""
    points = tuple(metadata.entry_points(group=ENTRY_POINTS))
    names = [point.name for point in points]
    free = (point for point in points if KEY.fullmatch(point.name) and point.name not in {*_OWN, *_NEVER})
    return {point.name: point for point in free if names.count(point.name) == 1}


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    if not environ.get(name):
        raise LookupError(f"refers to {name}, which the environment does not have; set it")
    return environ[name]


def _from_file(name: str, directory: Path) -> str:
    try:
        text = read_text(directory / name).strip("\r\n")
    except (OSError, ValueError) as error:
        raise LookupError(f"refers to a file that can't be read ({type(error).__name__}); see to {name}") from None
    if not text:
        raise LookupError(f"refers to a file that is empty; fill {name}")
    return text


def _from_store(name: str) -> Stored:
    if not KEY.fullmatch(name):
        raise LookupError("should be store:NAME, with a name of a-z, 0-9, - and _")
    if name == GRANT:
        raise LookupError(f"can't be called {GRANT}, which is what `connect` stores; call it something else")
    return Stored(name)


def _from_elsewhere(kind: str, where: str) -> str:
    try:
        ask: Callable[[str], object] = _others()[kind].load()
        found = ask(where)
    # What a third party raises is not ours to know; its text could show a secret.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        raise LookupError(f"can't be had from {kind} ({type(error).__name__}); see to it there") from None
    if not isinstance(found, str) or not found:
        raise LookupError(f"refers to something of which {kind} has no text; see to it there")
    return found
