"""The real servers, each as the tests of all of them know it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.live import fhir_clinic, gnuhealth_clinic, medplum_router, sekmet
from tests.live.clinics import Clinic
from tests.live.fhir_world import FhirWorld
from tests.live.gnuhealth import KIM_COMES, Practice, settings
from tests.live.gnuhealth_server import Server
from tests.live.gnuhealth_server import running as running_gnuhealth
from tests.live.gnuhealth_world import GnuHealthWorld
from tests.live.processes import Process
from tests.live.witness import World

FHIR = ("sekmet", "sekmet-smart", "medplum")
GNUHEALTH = ("gnuhealth-sqlite", "gnuhealth-postgresql")
ALL = (*FHIR, *GNUHEALTH)
FULL_DAY, SHORT_DAY = (8, 16), (9, 15)
DELAY_S = 2.0
"""After this the simulator acts."""

Settings = dict[str, Any]
Home = Callable[[str], Any]
"""Where what is installed is."""


class Site(Protocol):
    name: str
    plugin: str
    address: str
    """Of the server, without a path."""
    world: World
    process: Process | Server | None
    """`None`: it would forget everything if it were killed."""
    refuses_races: bool
    """Of two writes at the same moment over the same version it refuses one."""

    def account(self, address: str | None = None, **more: Any) -> Settings:
        """The settings of a gateway's account, for the server itself or a door at `address` before it."""

    def clinic(self) -> Clinic:
        """A day that nobody has used yet."""

    def clinics(self, count: int) -> list[Clinic]: ...

    def close(self) -> None:
        """Its clinics', too."""


class FhirSite:
    plugin, refuses_races = "fhir", True

    def __init__(self, name: str, base: str, process: Process | None, credentials: Settings | None = None) -> None:
        self.name, self.base, self.process = name, base, process
        self.address = base.removesuffix("/fhir")
        self._credentials = credentials or {}
        self._staff = sekmet.STAFF if credentials else None
        self.world = FhirWorld(base, self._staff, acts=credentials is not None)
        self._opened = list[fhir_clinic.Clinic]()

    def account(self, address: str | None = None, **more: Any) -> Settings:
        told = {"base_url": f"{address or self.address}/fhir", "zone": "Europe/Stockholm", "page_size": 7}
        return {**told, **self._credentials, **more}

    def clinic(self) -> fhir_clinic.Clinic:
        return self._new(FULL_DAY)

    def clinics(self, count: int) -> list[Clinic]:
        return [self._new(SHORT_DAY) for _ in range(count)]

    def _new(self, hours: tuple[int, int]) -> fhir_clinic.Clinic:
        self._opened.append(fhir_clinic.Clinic(self.base, self._staff, neighbours=True, hours=hours))
        return self._opened[-1]

    def close(self) -> None:
        for clinic in self._opened:
            clinic.close()


class GnuHealthSite:
    plugin = "gnuhealth"

    def __init__(self, name: str, server: Server) -> None:
        self.name, self.process, self.address = name, server, server.url
        # On SQLite it looks before it locks.
        self.refuses_races = server.database != "sqlite"
        self._opened = list[Practice]()
        self._practice = self._new()
        self.world = GnuHealthWorld(self._practice.rpc)

    def account(self, address: str | None = None, **more: Any) -> Settings:
        return settings(self.process, **{"base_url": address or self.address, **more})

    def clinic(self) -> gnuhealth_clinic.Clinic:
        return self._practice.clinic()

    def clinics(self, count: int) -> list[Clinic]:
        practice = self._new(days=count, hours=SHORT_DAY)
        return [practice.clinic() for _ in range(count)]

    def close(self) -> None:
        for practice in self._opened:
            practice.close()

    def _new(self, **more: Any) -> Practice:
        self._opened.append(Practice(self.process, booked=KIM_COMES, neighbours=True, **more))
        return self._opened[-1]


@contextmanager
def opened(name: str, home: Home, folder: Path) -> Iterator[Site]:
    with _running(name, home, folder) as site, closing(site):
        yield site


@contextmanager
def _running(name: str, home: Home, folder: Path) -> Iterator[Site]:
    """One of `ALL`, empty. "sekmet-smart" is behind OAuth 2, with tokens that last some seconds ("-9": 9), and books
    proposals by itself."""
    match name.split("-"):
        case ["gnuhealth", database]:
            with running_gnuhealth(home("gnuhealth_venv"), database) as server:
                yield GnuHealthSite(name, server)
        case ["medplum"]:
            with medplum_router.running(home("medplum_home"), folder) as base:
                yield FhirSite(name, base, None)
        case ["sekmet"]:
            with sekmet.running(home("sekmet_venv"), folder) as server:
                yield FhirSite(name, server.base, server)
        case ["sekmet", "smart", *life]:
            secured = sekmet.secured(folder, int(life[0]) if life else sekmet.LIFE_S)
            with sekmet.running(home("sekmet_venv"), folder, **secured, **sekmet.simulating(DELAY_S)) as server:
                yield FhirSite("sekmet-smart", server.base, server, server.credentials("basic", sekmet.WIDE_SCOPE))
