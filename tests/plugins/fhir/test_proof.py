"""Which servers are believed to carry out transactions as a whole, and what the proof leaves in them."""

from __future__ import annotations

import base64
import json

import pytest
from starlette.responses import Response

from gateway.plugin import EmrError, MaybeDone
from gateway.testing import without_waiting
from plugins.fhir.declared import FULL
from plugins.fhir.settings import Settings
from tests.plugins.fhir.fake import BASE, outcome
from tests.plugins.fhir.samples import at, slot


async def bundle_max(emr):
    return (await emr.probe()).bundle_max


def said(slots):
    """What the slots say, whatever their versions."""
    return {
        id: {k: v for k, v in s.items() if k != "meta" and (k, v) != ("overbooked", False)} for id, s in slots.items()
    }


def transactions(fake):
    return [json.loads(r._body) for r in fake.writes if r.method == "POST"]


def patches(bundle):
    return [json.loads(base64.b64decode(e["resource"]["data"])) for e in bundle["entry"]]


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"stale": 409},
        {"honours_if_match": False},
        {"versions_all": False},
        {"answers": "minimal"},
        {"answers": "outcome"},
    ],
)
async def test_a_server_that_keeps_its_word_is_believed(opened, fake, server):
    fake.transactions = "whole"
    for name, value in server.items():
        setattr(fake, name, value)
    emr = opened(fresh=True)
    assert emr.capabilities.bundle_max == 0
    assert await bundle_max(emr) == FULL.bundle_max == 100


@pytest.mark.parametrize(
    "server",
    [
        {"transactions": "left standing"},
        {"transactions": "left standing", "versions_all": False},
        {"transactions": "left standing", "stale": 409},
        {"transactions": "entry by entry"},
        {"transactions": "hollow"},
        {"transactions": "without patches"},
        {"transactions": "whole", "heeds_in_transactions": False},
        {"transactions": "whole", "heeds_in_transactions": False, "honours_if_match": False},
    ],
)
async def test_a_server_that_only_says_so_is_not(opened, fake, server):
    for name, value in server.items():
        setattr(fake, name, value)
    slots = said(fake.store["Slot"])
    emr = opened(fresh=True)
    assert await bundle_max(emr) == 0
    assert emr.learned.transacts is False
    assert said(fake.store["Slot"]) == slots, "whatever the server makes of it, no slot says anything else"


async def test_what_the_proof_leaves_is_one_version_more_of_two_slots_that_say_the_same(opened, fake):
    fake.transactions = "whole"
    before = dict(fake.store["Slot"])
    await bundle_max(opened(fresh=True))
    after = fake.store["Slot"]
    changed = [id for id in before if after[id]["meta"]["versionId"] != before[id]["meta"]["versionId"]]
    assert len(changed) == 2
    assert [after[id]["meta"]["versionId"] for id in changed] == ["2", "2"]
    assert [after[id]["overbooked"] for id in changed] == [False, False]
    assert said(after) == said(before)
    await bundle_max(opened(fresh=True))
    assert said(fake.store["Slot"]) == said(before), "a gateway that starts again leaves the same"


async def test_it_is_one_that_is_good_and_four_that_must_fail_each_way_in_both_orders(opened, fake):
    fake.transactions = "whole"
    await bundle_max(opened(fresh=True))
    good, *bad = transactions(fake)
    first, second = (entry["request"]["url"] for entry in good["entry"])
    assert [e["request"]["ifMatch"] for e in good["entry"]] == ['W/"1"'] * 2
    told = [[(e["request"]["url"], e["request"]["ifMatch"]) for e in bundle["entry"]] for bundle in bad]
    fine, stale, vain = (first, 'W/"2"'), (second, 'W/"1"'), (second, 'W/"2"')
    assert told == [[fine, stale], [stale, fine], [fine, vain], [vain, fine]]
    assert [{"op": "test", "path": "/resourceType", "value": ""}] in patches(bad[2])
    assert [{"op": "test", "path": "/resourceType", "value": ""}] not in patches(bad[0])


async def test_it_is_tried_once(opened, fake):
    fake.transactions = "whole"
    emr = opened(fresh=True)
    await bundle_max(emr)
    fake.seen.clear()
    assert await bundle_max(emr) == 100
    assert not transactions(fake)


@pytest.mark.parametrize(
    "settings",
    [
        {"transactions": "never"},
        {"marks_slots": False},
        {"dialect": "medplum"},
        {"dialect": "canvas"},
        {"dialect": "millennium", "services": "serviceType"},
    ],
)
async def test_where_it_is_not_wanted_it_is_not_tried(opened, fake, settings):
    fake.transactions = "whole"
    assert await bundle_max(opened(fresh=True, **settings)) == 0
    assert not transactions(fake)


async def test_a_server_that_does_not_say_so_is_not_tried(opened, fake):
    assert await bundle_max(opened(fresh=True)) == 0
    assert not [r for r in fake.writes if r.method == "POST"]


async def test_a_server_without_two_free_slots_is_not_believed(opened, fake):
    fake.transactions = "whole"
    for id, one in list(fake.store["Slot"].items()):
        fake.put({**one, "status": "free" if id == "d1-0800" else "busy"})
    assert await bundle_max(opened(fresh=True)) == 0
    fake.put({**slot("d1", at(8, 30)), "overbooked": True})
    assert await bundle_max(opened(fresh=True)) == 0, "it says something"
    assert not transactions(fake)


async def test_a_slot_that_somebody_takes_meanwhile_proves_nothing_and_stays_taken(opened, fake):
    fake.transactions = "whole"
    emr, taken = opened(fresh=True), []

    def staff(request):
        if request.method == "POST" and not taken:
            entries = json.loads(request._body)["entry"]
            taken.append(entries[0]["request"]["url"].removeprefix("Slot/"))
            fake.put({**fake.get("Slot", taken[0]), "status": "busy"})

    fake.faults = [staff] * 10
    assert await bundle_max(emr) == 0
    assert fake.get("Slot", taken[0])["status"] == "busy"


@pytest.mark.parametrize("nth", range(5))
async def test_an_answer_that_tells_nothing_clearly_proves_nothing(opened, fake, nth):
    fake.transactions, count = "whole", 0

    def unclear(request):
        nonlocal count
        if request.method != "POST":
            return None
        count += 1
        return Response("<html>", 500) if count == nth + 1 else None

    fake.faults = [unclear] * 50
    assert await bundle_max(opened(fresh=True)) == 0


@pytest.mark.parametrize(("kind", "tried"), [("hollow", 1), ("without patches", 1), ("entry by entry", 2)])
async def test_nothing_more_is_tried_once_it_is_clear(opened, fake, kind, tried):
    fake.transactions = kind
    await bundle_max(opened(fresh=True))
    assert len(transactions(fake)) == tried


async def test_a_success_that_tells_nothing_of_its_entries_proves_nothing(opened, fake):
    """As servers have answered to patches in particular."""
    fake.transactions = "whole"

    def silent(request):
        if request.method != "POST":
            return None
        answer = json.loads(fake._dispatch(request, request._body).body)
        return Response(json.dumps({**answer, "entry": []}), 200)

    fake.faults = [silent] * 50
    assert await bundle_max(opened(fresh=True)) == 0


@pytest.mark.parametrize("bent", [{"id": None}, {"id": "another"}, {"meta": 7}, {"meta": {"versionId": []}}])
async def test_a_slot_that_is_shown_bent_is_the_servers_fault_and_proves_nothing(opened, fake, bent):
    fake.transactions = "whole"

    def bending(request):
        if request.method != "GET" or not request.url.path.rpartition("/Slot/")[1]:
            return None
        body = {**json.loads(fake._dispatch(request, b"").body), **bent}
        return Response(json.dumps({k: v for k, v in body.items() if v is not None}), 200)

    fake.faults = [bending] * 50
    with without_waiting(), pytest.raises(MaybeDone):
        await opened(fresh=True).probe()


async def test_a_server_that_can_not_be_asked_now_is_asked_again_later(opened, fake):
    fake.transactions = "whole"
    emr = opened(fresh=True)

    def broken(request):
        return (
            outcome(503, "transient") if request.url.path.startswith("/r4/Slot/") and request.method == "GET" else None
        )

    fake.faults = [broken] * 50
    with without_waiting(), pytest.raises(EmrError):
        await emr.probe()
    assert emr.learned.transacts is None
    fake.faults = []
    assert await bundle_max(emr) == 100


def test_the_setting_is_one_of_two():
    assert Settings(base_url=BASE).transactions == "proven"
    with pytest.raises(ValueError, match="transactions"):
        Settings.model_validate({"base_url": BASE, "transactions": "always"})
