"""Processes for the search for canaries: an EMR in which all is marked that anybody could know somebody by, and
a gateway that has bugs where it is asked for them.

`python -m tests.security.marked emr PORT FOLDER` · `python -m tests.security.marked gateway ARGUMENTS…`
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

MARK = "Kanarie"
"""In names, comments, codes, keys and secrets, and in ids that nobody has."""
ID = "Hermelin"
"""In the ids that the EMR has: their own client is told of them, and an operator who has to settle something."""
BUGS = {
    "bug-in-parsing": ("gateway.wire.parse", "patch_one"),
    "bug-in-planning": ("gateway.writing", "planned"),
    "bug-in-running": ("gateway.writing", "run_of"),
    "bug-in-storing": ("gateway.execute.codec", "dump"),
    "bug-in-the-plugin": ("plugins.sandbox", "SandboxEmr.change"),
    "bug-in-telling": ("gateway.answering", "Answering.answer"),
}
"""What is asked for by a comment with `!NAME`, and the function that then fails with all that it was given."""


def emr(port: int, folder: Path) -> None:
    from plugins.sandbox.emr import build_app, seed
    from plugins.sandbox.emr.clinic import Clinic

    for name in ("SITES", "STAFF", "KINDS", "PEOPLE"):
        rows = getattr(seed, name)
        setattr(seed, name, tuple((ID + ref, f"{MARK} {title}", *more) for ref, title, *more in rows))
    seed.BOOKINGS = tuple((ID + b[0], ID + b[1], ID + b[2], *b[3:7], f"{MARK} {b[7]}") for b in seed.BOOKINGS)
    named = Clinic.next_ref
    Clinic.next_ref = lambda self, letter: ID + named(self, letter)
    folder.mkdir(exist_ok=True)
    uvicorn.run(_by_a_marked_key(build_app(folder, late_s=0.3)), host="127.0.0.1", port=port, log_level="critical")


def _by_a_marked_key(app: ASGIApp) -> ASGIApp:
    """It lets in who shows the marked key, and nobody by the sandbox's usual one."""
    name, theirs, usual = b"x-clinic-key", f"{MARK}-key".encode(), b"one-key"

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            known = {theirs: usual, usual: b"-"}
            headers = [(key, known.get(value, value) if key == name else value) for key, value in scope["headers"]]
            scope = {**scope, "headers": headers}
        await app(scope, receive, send)

    return door


def gateway(arguments: list[str]) -> int:
    from gateway.__main__ import main

    for word, (module, name) in BUGS.items():
        _plant(word, importlib.import_module(module), name)
    return main(arguments)


def _plant(word: str, owner: Any, name: str) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, last, _failing(getattr(owner, last), f"!{word}"))


def _failing(honest: Callable[..., Any], word: str) -> Callable[..., Any]:
    def failing(*given: Any, **named: Any) -> Any:
        told = f"{_known(given)} {_known(named)}"
        if word in told:
            raise ZeroDivisionError(told)
        return honest(*given, **named)

    return failing


def _known(value: Any) -> str:
    """All that a careless message would say of it."""
    plans = [getattr(part, "plan", None) for part in value] if isinstance(value, tuple) else []
    return repr(value) + repr(plans)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "emr":
        emr(int(arguments[0]), Path(arguments[1]))
    else:
        sys.exit(gateway(arguments))
