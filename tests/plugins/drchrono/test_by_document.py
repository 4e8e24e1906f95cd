"""What the plugin sends and what its fake answers is as DrChrono's own document says."""

from __future__ import annotations

import re
from dataclasses import replace

from gateway.vendor.in_process import InProcessTransport
from tests.plugins import spec
from tests.plugins.drchrono.conftest import Practice
from tests.plugins.drchrono.test_contract import world_of

NAME = "drchrono.openapi.yml"
pytestmark = spec.needs(NAME)

ALL, ONE = "/api/appointments", "/api/appointments/{id}"
DIRECTORIES = ("appointment_profiles", "doctors", "offices", "patients_summary")
CALLED = {
    *(f"GET /api/{name}" for name in DIRECTORIES),
    *(f"GET /api/{name}/{{id}}" for name in DIRECTORIES),
    *(f"GET {ALL}", f"POST {ALL}"),
    *(f"GET {ONE}", f"PATCH {ONE}", f"DELETE {ONE}"),
    "GET /api/schedule_blocks",
}
GAPS = (
    # It tells no success of a deletion; the prose has it answered with 204.
    rf"DELETE {re.escape(ONE)}: answer 204: is not declared"
    # A time of the form that it asks for has an offset; its own example has none.
    r"|GET /api/schedule_blocks: answer 200: body at data/\d+/(start|end)_time breaks format"
    # The patient is a number; the prose has it null in a break.
    r"|GET /api/appointments: answer 200: body at data/\d+/patient breaks type"
)
"""Where the document contradicts itself or the vendor's prose."""


async def test_every_request_and_every_answer_is_as_the_document_says(practice: Practice):
    practice.staff_blocks(practice.half_hour(8))
    judged = spec.Judged(InProcessTransport(practice.fake.app), spec.document(NAME))
    world = replace(world_of(practice), emr=practice.open(judged), transport=judged)
    await spec.every_exchange(world)
    assert not [one for one in judged.mistakes if not re.fullmatch(GAPS, one)]
    assert set(judged.seen) == CALLED
