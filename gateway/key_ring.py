"""The master key's succession: a new key takes the place of the present one, and nothing that was there is lost.

The former keys are kept in the state directory, sealed under each key that took their place: what they sealed still
opens, and hashes stay what they were. An entry is added before the new key is used, so that until then either of the
two works, whenever the process ends.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from gateway.keys import Altered, BadKey, Keys, WrongKey, sync_directory

_NAME = "former-keys.json"


def complete(keys: Keys, state_dir: Path) -> Keys:
    """The key with those whose place it took, if there are any. Raises `BadKey`."""
    sealed = _entries(state_dir).get(keys.id)
    if sealed is None:
        return keys
    try:
        return keys.with_former(base64.b64decode(sealed))
    except (WrongKey, Altered, ValueError, TypeError):
        raise BadKey(f"{state_dir / _NAME} is damaged: the former keys in it can't be opened.") from None


def succeed(former: Keys, new: Keys, state_dir: Path) -> Keys:
    """Let `new` take the place of `former`. From then on either can be configured. Raises `BadKey`."""
    ready = complete(new, state_dir)
    if ready.follows(former):
        return ready  # it was begun before
    ready = new.after(former)
    entries = {**_entries(state_dir), ready.id: base64.b64encode(ready.seal_former()).decode()}
    try:
        replace(state_dir / _NAME, json.dumps({"version": 1, "keys": entries}, indent=1))
    except OSError as error:
        raise BadKey(f"{state_dir / _NAME} can't be written ({type(error).__name__}).") from None
    return ready


def key_at(reference: str | None, otherwise: Path) -> Keys:
    """The key that is referred to; a file is made where there is none. Raises `BadKey`."""
    kind, _, where = (reference or f"file:{otherwise}").partition(":")
    return Keys.from_file(Path(where)) if kind == "file" and where else Keys.load(reference or "")


def replace(path: Path, text: str) -> None:
    """Durable, whole or not at all, and for its owner's eyes only (0600). Raises OSError."""
    draft = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def _entries(state_dir: Path) -> dict[str, str]:
    path = state_dir / _NAME
    try:
        told = json.loads(path.read_text("ascii"))
        if told["version"] != 1:
            raise BadKey(f"{path} was written by a newer gateway. Start that one.")
        return dict(told["keys"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadKey(f"{path} can't be read ({type(error).__name__}).") from None
