"""Is an answer true? Its words, one by one, against what the EMR held."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from tests.histories.history import Entry
from tests.histories.lines import GONE, Line, content
from tests.histories.world import Told

if TYPE_CHECKING:
    from tests.histories.checker import Case

ZONE = ZoneInfo("Europe/Stockholm")
OPEN = ("PARTIALLY_APPLIED", "OUTCOME_UNKNOWN")
STATUS = {
    "PLANNED": "booked",
    "UNCONFIRMED": "awaiting_confirmation",
    "DONE": "completed",
    "ANNULLED": "cancelled",
    "MOVED": "cancelled",
    "ABSENT": "no_show",
}
Row = dict[str, Any]
ID = re.compile(r"(?:now|created as|stands) ([BR][0-9]+)")


def code_of(told: Told) -> str | None:
    return None if told.status is None or told.status < 400 else str(told.json()["code"])


def rows_of(body: Any) -> list[Row]:
    return body if isinstance(body, list) else [body]


def _wall(text: str) -> str:
    return datetime.fromisoformat(text).astimezone(ZONE).replace(tzinfo=None).isoformat(timespec="minutes")


def shows(row: Row, view: Row) -> bool:
    """Does what a client was told agree with what the EMR held?"""
    return (
        _wall(row["start"]) == view["begins"]
        and _wall(row["end"]) == view["ends"]
        and row["patient_id"] == view["who"]
        and row["resource_id"] == view["with"]
        and row["healthcare_service_id"] == view["kind"]
        and row["confirmed"] == view["agreed"]
        and (row["comment"] or "") == view["memo"]
        and _same_status(row, view)
    )


def _same_status(row: Row, view: Row) -> bool:
    # A request to cancel that waits for its code shows the appointment's data under an id of its own.
    if row["id"].startswith("R"):
        return row["status"] == ("cancelled" if view["stage"] == "ANNULLED" else "awaiting_confirmation")
    return row["status"] == STATUS.get(view["stage"], "other")


def held(case: Case, row: Row, begin: float, end: float) -> bool:
    """Did the EMR hold it so at some moment?"""
    return any(shows(row, view) for ref in _refs(case, row["id"]) for view in case.lines.at(ref, begin, end))


def _refs(case: Case, id: str) -> list[str]:
    """Under which references the data of an id are found: a request shows its booking, whatever that is called then."""
    if not id.startswith("R"):
        return [id]
    about = next((e.now["about"] for e in case.history.journal if e.ref == id and e.now is not None), None)
    return [] if about is None else case.lines.of[about].refs


def asked_ids(told: Told) -> list[str]:
    if isinstance(told.body, dict) and "ids" in told.body:
        return list(told.body["ids"])
    single = told.path.partition("?")[0].removeprefix("appointments").strip("/")
    return [single] if single else []


# -- refusals and reports ---------------------------------------------------------------------------------------------


def named(case: Case, tag: int, *, surely: bool = False) -> set[str]:
    """The appointments that a report names, by some reference of each; those that it knows to be changed."""
    told, body = case.told.get(tag), case.answer(tag)
    if told is None or body is None or "errors" not in body:
        return set()
    ids, found = [_called(case, id, tag) for id in asked_ids(told)], set()
    for error in body["errors"]:
        if surely and error["error_code"] == "OUTCOME_UNKNOWN":
            continue
        path, details = error["path"] or "", error["details"]
        found |= set(ID.findall(details))
        if "created as" in details or "as it was" in details:
            continue  # of that one alone
        if path.startswith("ids/"):
            found.add(ids[int(path.removeprefix("ids/"))])
        elif len(ids) == 1:
            found.add(ids[0])
    return found if body["errors"] else set(ids)


def _called(case: Case, id: str, tag: int) -> str:
    """What an appointment was called when the command had it: another one may have booked it anew before."""
    end = case.history.commands[tag]["updated_at"]
    for other, command in case.history.commands.items():
        if other != tag and command["state"] == "done" and command["updated_at"] < end:
            rows = rows_of(case.answer(other))
            new = next((row["id"] for row in rows if id in row["previous_ids"]), id)
            id = new if case.lines.of.get(new) is not case.lines.of.get(id) else id
    return id


def of_partial(case: Case, tag: int) -> Iterator[str]:
    said = {id(case.lines.of[ref]) for ref in named(case, tag) if ref in case.lines.of}
    nets = {id(net.line): net for net in case.nets.get(tag, [])}
    body = case.answer(tag)
    if body["code"] not in OPEN:
        yield f"request {tag} needs attention and says {body['code']}"
    for key, net in nets.items():
        if net.differs and key not in said:
            yield f"request {tag} does not name {net.line.refs}: {net.expected} → {net.actual}"
    if body["code"] == "PARTIALLY_APPLIED":
        surely = named(case, tag, surely=True)
        yield from _named_in_vain(case, tag, {id(case.lines.of[ref]) for ref in surely if ref in case.lines.of})


def _named_in_vain(case: Case, tag: int, said: set[int]) -> Iterator[str]:
    """Named is what is not as it was: by us, or by the staff since we read it."""
    told = case.told[tag]
    for line in case.lines.all:
        if id(line) in said:
            touched = [e for e in line.entries if e.at >= told.sent and e.hand in (None, tag)]
            net = next((n for n in case.nets.get(tag, []) if n.line is line), None)
            if not touched or (net is not None and not net.differs and not net.staffs and not _theirs(touched)):
                yield f"request {tag} names {line.refs}, which is as it was"


def _theirs(entries: list[Entry]) -> bool:
    return any(e.hand is None for e in entries)


# -- answers ----------------------------------------------------------------------------------------------------------


def of_done(case: Case, tag: int) -> Iterator[str]:
    told, rows = case.told[tag], rows_of(case.answer(tag))
    command = case.history.commands[tag]
    end = _seconds(case, command["updated_at"])
    for row in rows:
        if not held(case, row, told.sent, end):
            yield f"request {tag}: the EMR never held {row}"
        if told.body and not fulfils(told, row):
            yield f"request {tag}: {row} is not what was asked for"
        yield from _replaced(case, tag, row)
    shown = {kin for row in rows for ref in (row["id"], *row["previous_ids"]) for kin in _kin(case, ref)}
    for net in case.nets.get(tag, []):
        if net.differs and not shown & set(net.line.refs):
            yield f"request {tag} does not show {net.line.refs}: {net.expected} → {net.actual}"
    missing = [id for id in asked_ids(told) if not shown & _kin(case, id)]
    if missing:
        yield f"request {tag} does not show {missing}"


def _kin(case: Case, id: str) -> set[str]:
    """All that an id may be told as: its line, or the request about it."""
    refs = set(case.lines.of[id].refs) if id in case.lines.of else {id}
    about = {e.ref for e in case.history.journal if e.now is not None and e.now.get("about") in refs}
    return refs | about | ({ref for r in _refs(case, id) for ref in case.lines.of[r].refs} if id[0] == "R" else set())


def _replaced(case: Case, tag: int, row: Row) -> Iterator[str]:
    """Where it was booked anew, the old one is gone."""
    for old in row["previous_ids"]:
        line = case.lines.of.get(old)
        own = line is not None and line is not case.lines.of.get(row["id"]) and tag in line.writers()
        if line is not None and own and (content(line.entries[-1].now) or {"stage": "MOVED"})["stage"] not in GONE:
            yield f"request {tag}: {old} stands beside {row['id']}"


def _seconds(case: Case, moment: str) -> float:
    from tests.histories.virtual import BASE

    # Told in milliseconds or so.
    return (datetime.fromisoformat(moment) - BASE).total_seconds() + 0.01


def fulfils(told: Told, row: Row) -> bool:
    """Does the row hold what the request asked for? Of a reschedule: does it lie within?"""
    asked = told.body
    if "confirmation" in asked:
        return row["status"] in ("booked", "cancelled")
    if asked.get("status") == "cancelled":
        return row["status"] in ("cancelled", "awaiting_confirmation")
    # Of a reschedule, what is too many is cancelled, or will be when the code arrives.
    if "ids" in asked and "start" in asked and (row["status"] == "cancelled" or row["id"].startswith("R")):
        return True
    wanted = [(row["comment"] or "") == asked["comment"]] if "comment" in asked else []
    wanted += [row["resource_id"] == asked["resource_id"]] if "resource_id" in asked else []
    if "start" in asked and "ids" in asked:
        wanted += [_wall(asked["start"]) <= _wall(row["start"]), _wall(row["end"]) <= _wall(asked["end"])]
    elif "start" in asked:
        wanted += [_wall(asked["start"]) == _wall(row["start"]), _wall(asked["end"]) == _wall(row["end"])]
    return all(wanted)


def of_answer(case: Case, told: Told) -> Iterator[str]:
    assert told.status is not None
    assert told.answered is not None
    if told.method == "GET":
        yield from _of_read(case, told)
    elif told.status == 500 and not _was_interrupted(case, told):
        yield f"request {told.tag} was answered with 500"
    elif told.status == 202 or told.replayed:
        return
    elif told.tag in case.history.commands:
        yield from _of_write(case, told)


def _was_interrupted(case: Case, told: Told) -> bool:
    """The gateway's own fault, which it says: it died in the middle, and what it had begun was undone afterwards."""
    said: str = told.json()["detail"]
    return case.history.deaths > 0 and told.replayed and said.startswith("The gateway was stopped")


def _of_write(case: Case, told: Told) -> Iterator[str]:
    state, final = case.state(told.tag), case.history.commands[told.tag]["answer"]
    if told.status in (200, 201):
        fine = state == "done" and told.json() == final["body"]
    elif code_of(told) in OPEN:
        fine = state in ("done", "undone", "refused", "needs_attention")
    else:
        fine = state in ("refused", "undone") and (told.json() == final["body"] or told.status == 503)
    if not fine:
        yield f"request {told.tag} was told {told.status} {code_of(told)} and is {state}"


def _of_read(case: Case, told: Told) -> Iterator[str]:
    assert told.answered is not None
    if told.status == 200:
        for row in rows_of(told.json()):
            if row.get("patient_id") and not held(case, row, told.sent, told.answered):
                yield f"request {told.tag}: the EMR did not hold {row}"


# -- cancellations ----------------------------------------------------------------------------------------------------


def of_cancelled(case: Case, line: Line, hand: int) -> Iterator[str]:
    """The gateway cancelled it: somebody asked for that, or it stands under another id, or it was never to be."""
    told, state = case.told.get(hand), case.state(hand)
    if told is None or (line.made_by() == hand and state != "done"):
        return
    asked = told.body or {}
    wanted = asked.get("status") == "cancelled" or "confirmation" in asked
    rows = rows_of(case.answer(hand)) if state == "done" else []
    surplus = any(row["status"] == "cancelled" and row["id"] in line.refs for row in rows)
    rebooked = any(set(line.refs) & set(row["previous_ids"]) for row in rows)
    if state != "done" or not (wanted or surplus or rebooked or line.made_by() == hand):
        yield f"{line.refs} is gone by request {hand} ({state})"
