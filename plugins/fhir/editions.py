"""The editions that accounts come in: the dialects, and servers that keep their slots themselves."""

from __future__ import annotations

from dataclasses import replace

from gateway.plugin import Edition
from plugins.fhir.declared import FULL
from plugins.fhir.dialects import DIALECTS

EDITIONS = (
    Edition(
        title="FHIR R4",
        capabilities=FULL,
        tested="live",
        against="SEKMET 0.1.1 and Medplum FHIR router 4.5.2",
    ),
    Edition(
        name="server-slots",
        title="FHIR R4, where the server marks the slots",
        capabilities=replace(FULL, slot_records=False),
        against="FHIR R4",
    ),
    Edition(
        name="millennium",
        title="Oracle Health Millennium",
        capabilities=replace(FULL, **DIALECTS["millennium"].differences),
        against="Oracle Health's FHIR R4 API",
    ),
    Edition(
        name="canvas",
        title="Canvas Medical",
        capabilities=replace(FULL, **DIALECTS["canvas"].differences),
        against="Canvas's FHIR API",
    ),
    Edition(
        name="medplum",
        title="Medplum's scheduling operations",
        capabilities=replace(FULL, **DIALECTS["medplum"].differences),
        against="Medplum's scheduling API (beta)",
    ),
)
