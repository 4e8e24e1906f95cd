"""What an account of a FHIR server is configured with."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from gateway.plugin import BaseUrl, SmartBackend, Url, Zone

IDENTIFIERS = {
    "se_personal_number": "http://electronichealth.se/identifier/personnummer",
    "no_personal_number": "urn:oid:2.16.578.1.12.4.1.4.1",
    "hsa_id": "urn:oid:1.2.752.29.4.19",
    "nhs_number": "https://fhir.nhs.uk/Id/nhs-number",
}

NEEDED = {
    "none": (),
    "basic": ("user", "password"),
    "bearer": ("token",),
    "client_credentials": ("token_url", "client_id", "client_secret"),
    "smart_backend": ("client_id", "private_key", "scope"),
    "authorization_code": ("authorize_url", "token_url", "client_id", "scope"),
}
"""What each kind of credentials can't do without."""

ResourceType = Literal["Practitioner", "PractitionerRole", "Location", "Device"]


class Settings(BaseModel):
    """One FHIR R4 server, and how its appointments are to be read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: BaseUrl
    dialect: Literal["standard", "millennium", "canvas", "medplum"] = "standard"
    """Whose FHIR it is, where that differs from the standard's."""
    auth: Literal["none", "basic", "bearer", "client_credentials", "smart_backend", "authorization_code"] = "none"
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    client_auth: Literal["basic", "post"] = "basic"
    """How a token request bears the secret: as HTTP Basic, or in its form."""
    private_key: SecretStr | None = None
    """PEM: RSA of 2048 bits or more (RS384), or EC P-384 (ES384)."""
    key_id: str | None = None
    """The key's `kid` in the key set that was registered with the server."""
    token_url: Url | None = None
    """The token endpoint; SMART's is discovered if it is left out."""
    authorize_url: Url | None = None
    """Where somebody lets the gateway in."""
    scope: str | None = None
    zone: Zone = ZoneInfo("UTC")
    """IANA zone of the care units: times are answered with its offset."""
    resources: tuple[ResourceType, ...] = Field(default=("Practitioner",), min_length=1)
    """Participant types that are bookable: the first participant of one of them is the resource."""
    care_units: Literal["Location", "none"] = "Location"
    services: Literal["HealthcareService", "serviceType"] = "HealthcareService"
    """Whether a healthcare service is a participant, or a coding of `Appointment.serviceType`."""
    holds: bool = False
    """Medplum: a booking is held (`$hold`) and stands once it is confirmed. A hold never ends by itself."""
    slot_minutes: int = Field(default=20, ge=1, le=24 * 60)
    """Canvas: how long the slots are that are listed; an appointment that is moved asks for slots of its own length."""
    marks_slots: bool = True
    """The gateway takes and gives back Slots. `False`: the server does it with the appointment."""
    transactions: Literal["proven", "never"] = "proven"
    """Writes that belong together are sent as one where the server proves that it takes them as one; or never."""
    cancel_reason_system: str = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
    """The system that the account's `cancel_reason` is a code of."""
    marker_system: str = "urn:emr-gateway:booking"
    """The identifier system under which the gateway finds its own bookings again."""
    identifiers: dict[str, str] = Field(default_factory=lambda: dict(IDENTIFIERS))
    """The identifier system for each type prefix of an id."""
    longest_h: float = Field(default=24.0, gt=0, le=24 * 31)
    """The longest appointment, in hours: FHIR searches by start, so lists look back this far."""
    late_write_s: float = Field(default=10.0, ge=0)
    """How long a booking whose answer was lost may still come through, in seconds."""
    page_size: int = Field(default=200, ge=1, le=1000)

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        missing = [name for name in NEEDED[self.auth] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"auth = {self.auth} needs {' and '.join(missing)}")
        if self.private_key is not None:
            SmartBackend(self.base_url, "", self.private_key, "")  # an unusable key is told at once
        if self.care_units == "Location" and "Location" in self.resources:
            raise ValueError('a Location is either the resource or the care unit: set care_units = "none"')
        if self.holds and self.dialect != "medplum":
            raise ValueError('holds = true needs dialect = "medplum"')
        services = {"millennium": "serviceType", "medplum": "HealthcareService"}.get(self.dialect, self.services)
        if services != self.services:
            raise ValueError(f'dialect = {self.dialect} needs services = "{services}"')
        return self

    @property
    def edition(self) -> str:
        return "server-slots" if self.dialect == "standard" and not self.marks_slots else self.dialect
