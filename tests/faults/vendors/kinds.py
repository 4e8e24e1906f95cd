"""Which vendors there are."""

from __future__ import annotations

from tests.faults.vendors import athenahealth, cliniko, drchrono, nexhealth, opendental

KINDS = {
    "athenahealth": athenahealth.Stage,
    "cliniko": cliniko.Stage,
    "drchrono": drchrono.Stage,
    "nexhealth": nexhealth.Stage,
    "opendental": opendental.Stage,
}
