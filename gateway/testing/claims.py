"""What an account claims, and what proves it: a claim whose case is skipped fails the suite."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from gateway.domain.capabilities import Capabilities
from gateway.testing.practice import Practice

Claim = Callable[[Capabilities], bool]


def moves(can: Capabilities) -> bool:
    """Can an appointment be brought to another time at all?"""
    return can.move != "none" or _rebooks(can)


def reassigns(can: Capabilities) -> bool:
    return can.reassign != "none" or _rebooks(can)


def changes(can: Capabilities) -> bool:
    """Does `Emr.change` take anything?"""
    return can.comment or can.move != "none" or can.reassign != "none"


def _rebooks(can: Capabilities) -> bool:
    return can.create and can.cancel


CLAIMS: dict[str, Claim] = {
    "directories": lambda can: bool(can.directories),
    "lists": lambda can: can.lists,
    "free_time": lambda can: can.free_time != "none",
    "free_time_by": lambda can: can.free_time != "none" and bool(can.free_time_by),
    "own_time_shown": lambda can: can.own_time_shown,
    "move": lambda can: can.move != "none",
    "reassign": lambda can: can.reassign != "none",
    "new id": lambda can: "new_id" in (can.move, can.reassign),
    "rebooking": lambda can: "none" in (can.move, can.reassign) and _rebooks(can),
    "combines": lambda can: can.combines and can.comment and (can.move != "none" or can.reassign != "none"),
    "books_comment": lambda can: can.books_comment and can.comment and can.create,
    "moves_awaiting": lambda can: can.moves_awaiting and moves(can),
    "refuses_overlap": lambda can: can.refuses_overlap and (can.create or can.move != "none"),
    "telling of conflicts": lambda can: not can.refuses_overlap and can.lists and can.create,
    "racing for one slot": lambda can: can.create or can.move != "none",
    "several at once": reassigns,
    "slots_per_appointment": lambda can: (
        can.slots_per_appointment == "many" and can.free_time == "slots" and can.create
    ),
    "slot_records": lambda can: can.slot_records,
    "create": lambda can: can.create,
    "discard": lambda can: can.discard and can.create,
    "cancel": lambda can: can.cancel,
    "cancel_comment": lambda can: can.cancel and can.cancel_comment != "none",
    "cancel_code": lambda can: can.cancel_code,
    "comment": lambda can: can.comment,
    "comment_max": lambda can: can.comment and can.comment_max is not None,
    "confirm": lambda can: can.confirm != "none",
    "confirming by code": lambda can: can.confirm == "code",
    "confirmed_flag": lambda can: can.confirmed_flag and can.confirm != "none",
    "notifies": lambda can: can.notifies == "switch" and (can.create or can.cancel or can.move != "none"),
    "bundle_max": lambda can: can.bundle_max > 1 and (can.comment or can.move != "none"),
    "answers_with": lambda can: can.answers_with == "appointment" and (can.create or can.cancel or changes(can)),
    "settles_within_s": lambda can: can.settles_within_s > 0 and can.create,
    "version_check": lambda can: can.version_check and changes(can),
    "trims_comment": lambda can: can.trims_comment and can.comment,
    "start_unit_s": lambda can: can.start_unit_s > 0 and (can.create or can.move != "none"),
    "length_unit_s": lambda can: can.length_unit_s > 0 and (can.create or can.move != "none"),
    "local_zone": lambda can: can.local_zone is not None and (can.create or can.move != "none"),
}
"""When an account claims what: fields of its capabilities, and what follows from several of them."""

UNPROVEN = {
    "late_write_s": "that a write can't come any later is known to the vendor only",
    "grid_s": "every case compares times by it",
    "joins_lines": "every case compares comments by it",
    "concurrency": "a limit that the gateway keeps",
    "min_interval_s": "a limit that the gateway keeps",
    "quota": "a limit that the gateway keeps",
    "quota_window_s": "a limit that the gateway keeps",
    "slot_check": "how the account is configured",
    "cancel_reasons": "an appointment does not tell the code that it was cancelled with",
    "notify": "how the account is configured",
}
"""Fields that no case can prove, and why."""


NOT_CLAIMED = "the account does not claim: "
"""How a case that is skipped begins to say why."""


class Proof:
    """A case: it proves its claims for every account that makes them all, and is skipped for the others."""

    def __init__(self, claims: tuple[str, ...]) -> None:
        self.claims = frozenset(claims)

    def lacking(self, can: Capabilities) -> list[str]:
        return sorted(claim for claim in self.claims if not CLAIMS[claim](can))


_PROOFS: dict[Callable[..., Any], Proof] = {}

Body = Callable[..., Awaitable[None]]


def case(*claims: str, agrees: bool = True) -> Callable[[Body], Body]:
    """A case of the contract: a method that gets a `Practice` as `at`. It proves `claims` together.

    After it slots and appointments must agree; `agrees=False` where it leaves what only a gateway's repair would mend.
    """
    proof = Proof(claims)
    unknown = proof.claims - CLAIMS.keys()
    if unknown:
        raise ValueError(f"there is no claim {', '.join(sorted(unknown))}")

    def decorate(body: Body) -> Body:
        @functools.wraps(body)
        async def proving(self: object, at: Practice, **more: Any) -> None:
            lacking = proof.lacking(at.can)
            if lacking:
                pytest.skip(f"{NOT_CLAIMED}{', '.join(lacking)}")
            await _proven(proof, body, self, at, more)
            if agrees:
                await at.agree()

        _PROOFS[proving] = proof
        marked: Body = pytest.mark.asyncio(proving)
        return marked

    return decorate


async def _proven(proof: Proof, body: Body, self: object, at: Practice, more: dict[str, Any]) -> None:
    try:
        await body(self, at, **more)
    except pytest.skip.Exception as skipped:
        if not proof.claims:
            raise
        claimed = ", ".join(sorted(proof.claims))
        pytest.fail(f"the account claims {claimed}, so its case can't be skipped ({skipped.msg})")


def cases_of(suite: type) -> dict[str, Proof]:
    """The cases of a class by their names."""
    found = {name: _PROOFS.get(getattr(suite, name)) for name in dir(suite) if name.startswith("test_")}
    return {name: proof for name, proof in found.items() if proof is not None}


def unproven(contract: type, suite: type, can: Capabilities, skipped: frozenset[str]) -> Iterator[str]:
    """Sentences on each claim of the account that `suite`, which inherits `contract`, does not prove.

    `skipped`: the names of tests that a mark keeps from being run or from counting.
    """
    kept = cases_of(suite)
    for name, proof in cases_of(contract).items():
        if proof.lacking(can):
            continue
        claimed = ", ".join(sorted(proof.claims)) or "what every account must do"
        if name not in kept or not proof.claims <= kept[name].claims:
            yield f"{name} was overridden by something that is no case: it proves {claimed}"
        elif name in skipped:
            yield f"{name} is skipped: it proves {claimed}"
    proven = {claim for proof in kept.values() if not proof.lacking(can) for claim in proof.claims}
    for claim, holds in CLAIMS.items():
        if holds(can) and claim not in proven:
            yield f"no case proves {claim}"
