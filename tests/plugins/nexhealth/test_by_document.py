"""What the plugin sends and what its fake answers is as NexHealth's own document says."""

from __future__ import annotations

from dataclasses import replace

from gateway.plugin import Kind
from gateway.vendor.in_process import InProcessTransport
from tests.plugins import spec
from tests.plugins.nexhealth.conftest import Practice
from tests.plugins.nexhealth.test_contract import world_of

NAME = "nexhealth.openapi.json"
pytestmark = spec.needs(NAME)

CALLED = {
    "POST /authenticates",
    *(
        f"GET /{name}"
        for name in ("appointment_types", "providers", "patients", "appointments", "available_slots", "sync_status")
    ),
    *(f"GET /{name}/{{id}}" for name in ("appointment_types", "locations", "providers", "patients", "appointments")),
    "POST /appointments",
    "PATCH /appointments/{id}",
}


async def test_every_request_and_every_answer_is_as_the_document_says(practice: Practice):
    judged = spec.Judged(InProcessTransport(practice.fake.app), spec.document(NAME))
    emr = practice.open(judged)
    await spec.every_exchange(replace(world_of(practice), emr=emr, transport=judged))
    for kind in Kind:
        for entry in await emr.directory(kind):
            assert await emr.look_up(kind, entry.id) == entry
    assert not judged.mistakes, "\n".join(sorted(set(judged.mistakes)))
    assert set(judged.seen) == CALLED
