"""What is alike of every vendor's fake: a practice with a few appointments, and a place for its staff to look."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import combinations
from typing import Any, Protocol

from gateway.domain.model import Span
from tests.faults.cast import Cast

Row = dict[str, Any]
STANDS, GONE = "stands", "gone"
THREE, WAITING, BYSTANDER, LAST = range(3), 7, 8, 10
"""Half hours from ten o'clock on: those of the three, of one that waits for its confirmation, of somebody else's."""


class Practice(Protocol):
    """As the plugin's own tests have it."""

    def day(self, *, beyond: bool = False) -> datetime: ...

    def half_hour(self, n: int = 0, *, beyond: bool = False) -> Span: ...


class Stage(Protocol):
    """One practice, seeded."""

    app: Any
    cast: Cast
    settings: Mapping[str, Any]

    def rows(self) -> list[Row]:
        """Every appointment as the vendor keeps it, but for stamps; besides `ref`, `with`, `begins`, `ends`, `stage`,
        and `moved_to` where it has become another one."""
        ...

    def wrong(self) -> list[str]:
        """What does not agree with itself."""
        ...

    def is_quiet(self) -> bool: ...

    def let_in(self) -> str | None:
        """Somebody lets the gateway in; → the refresh token, where there is such a thing."""
        ...


class Plain:
    """What most have nothing to say to."""

    def wrong(self) -> list[str]:
        return []

    def is_quiet(self) -> bool:
        return True

    def let_in(self) -> str | None:
        return None


def on_one_day(kind: type[Any]) -> type[Any]:
    """A practice whose day is the same for all that are founded by this process, also after midnight."""
    days: dict[bool, datetime] = {}

    class OnOneDay(kind):
        def day(self, *, beyond: bool = False) -> datetime:
            if beyond not in days:
                days[beyond] = super().day(beyond=beyond)
            return days[beyond]

    return OnOneDay


def cast_of(practice: Practice, three: Iterable[object], waiting: object, **who: object) -> Cast:
    """`who`: the other resource, a patient and a service; ids as the vendor has them, texts or numbers."""
    named = {role: str(id) for role, id in who.items()}
    return Cast(three=tuple(map(str, three)), waiting=str(waiting), half_hours=half_hours(practice), **named)


def half_hours(practice: Practice) -> tuple[tuple[str, str], ...]:
    spans = [practice.half_hour(n) for n in range(WAITING)]
    return tuple((span.start.isoformat(), span.end.isoformat()) for span in spans)


def row(raw: Mapping[str, Any], stamps: set[str], **said: Any) -> Row:
    return {name: value for name, value in raw.items() if name not in stamps} | said


def told(stage: Stage) -> bytes:
    rows = stage.rows()
    wrong = [f"{one} and {other} stand at one time" for one, other in clashing(rows, "with")]
    return json.dumps({"bookings": rows, "quiet": stage.is_quiet(), "wrong": wrong + stage.wrong()}).encode()


def clashing(rows: list[Row], place: str) -> Iterator[tuple[str, str]]:
    standing = [row for row in rows if row["stage"] == STANDS]
    for one, other in combinations(standing, 2):
        if one[place] == other[place] and one["begins"] < other["ends"] and other["begins"] < one["ends"]:
            yield one["ref"], other["ref"]


@dataclass(frozen=True, slots=True)
class Stages:
    """All practices of all vendors at one address: `/{vendor}/{clinic}/…`, founded by whoever is the first to come.

    `/{vendor}/{clinic}/_staff/…` is for the staff: `cast`, `book`, `let-in`.
    """

    kinds: Mapping[str, Callable[[str], Stage]]
    base: str
    founded: dict[str, Stage]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        _, vendor, clinic, what = scope["path"].split("/", 3)
        here = f"/{vendor}/{clinic}"
        if here not in self.founded:
            self.founded[here] = self.kinds[vendor](f"{self.base}{here}")
        stage = self.founded[here]
        if what.startswith("_staff/"):
            await _answer(send, _staff(stage, what))
        else:
            await stage.app({**scope, "root_path": here}, receive, send)


def _staff(stage: Stage, what: str) -> bytes:
    match what.removeprefix("_staff/"):
        case "cast":
            return json.dumps({"cast": asdict(stage.cast), "settings": dict(stage.settings)}).encode()
        case "book":
            return told(stage)
        case "let-in":
            return json.dumps(stage.let_in()).encode()
    raise LookupError(what)


async def _answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
