"""What vendors do otherwise than FHIR says: one small class each, by the name in an account's settings."""

from __future__ import annotations

from collections.abc import Mapping

from plugins.fhir.dialects.canvas import Canvas
from plugins.fhir.dialects.medplum import Medplum
from plugins.fhir.dialects.millennium import Millennium
from plugins.fhir.dialects.standard import Sending, Standard, Written

__all__ = ["DIALECTS", "Sending", "Standard", "Written"]

DIALECTS: Mapping[str, type[Standard]] = {
    "standard": Standard,
    "millennium": Millennium,
    "canvas": Canvas,
    "medplum": Medplum,
}
