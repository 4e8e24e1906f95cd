"""What the plugin sends and what its fake answers is as Cliniko's own document says."""

from __future__ import annotations

from dataclasses import replace

from gateway.vendor.in_process import InProcessTransport
from tests.plugins import spec
from tests.plugins.cliniko.conftest import Practice
from tests.plugins.cliniko.test_contract import world_of

NAME = "cliniko.openapi.json"
pytestmark = spec.needs(NAME)

ONE = "/individual_appointments/{id}"
STARTS = (
    "/businesses/{business_id}/practitioners/{practitioner_id}/appointment_types/{appointment_type_id}/available_times"
)
CALLED = {
    *(f"GET /{name}" for name in ("appointment_types", "businesses", "practitioners", "patients")),
    *(f"GET /{name}/{{id}}" for name in ("appointment_types", "businesses", "practitioners", "patients")),
    "GET /individual_appointments",
    "POST /individual_appointments",
    f"GET {ONE}",
    f"PATCH {ONE}",
    f"PATCH {ONE}/cancel",
    f"POST {ONE}/archive",
    f"GET {ONE}/conflicts",
    f"GET {STARTS}",
}


async def test_every_request_and_every_answer_is_as_the_document_says(practice: Practice):
    judged = spec.Judged(InProcessTransport(practice.fake.app), spec.document(NAME))
    world = replace(world_of(practice), emr=practice.open(judged), transport=judged)
    await spec.every_exchange(world)
    assert not judged.mistakes, "\n".join(sorted(set(judged.mistakes)))
    assert set(judged.seen) == CALLED
