"""GNU Health's JSON-RPC as its own client speaks it, and what every EMR of the tests begins with."""

from __future__ import annotations

import base64
from typing import Any

import httpx

PASSWORD = "Front-desk-2027"
FRONT_DESK = "frontdesk"


class Failed(Exception):
    """An error that came under HTTP 200."""


class Rpc:
    """A logged-in user of one database."""

    def __init__(self, base: str, user: str, password: str = PASSWORD) -> None:
        self._http = httpx.Client(base_url=base, timeout=30)
        self._headers: dict[str, str] = {}
        number, session = self._post("common.db.login", user, {"password": password})[:2]
        self.session = "Session " + base64.b64encode(f"{user}:{number}:{session}".encode()).decode()
        self._headers = {"Authorization": self.session}

    def close(self) -> None:
        self._http.close()

    def end(self, session: str) -> None:
        """Log somebody else's session out, given its Authorization header."""
        self._http.post(
            "", json={"id": 1, "method": "common.db.logout", "params": []}, headers={"Authorization": session}
        ).raise_for_status()

    def call(self, model: str, method: str, *params: Any, **context: Any) -> Any:
        return self._post(f"model.{model}.{method}", *params, context)

    def create(self, model: str, **values: Any) -> int:
        return int(self.call(model, "create", [values])[0])

    def rows(self, model: str, domain: list[Any], *fields: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call(model, "search_read", domain, 0, None, [["id", "ASC"]], list(fields))
        return found

    def wizard(self, name: str, values: dict[str, Any], state: str, **context: Any) -> None:
        session = self._post(f"wizard.{name}.create", {})[0]
        self._post(f"wizard.{name}.execute", session, {"start": values}, state, context)
        self._post(f"wizard.{name}.delete", session, {})

    def _post(self, method: str, *params: Any) -> Any:
        answer = self._http.post("", json={"id": 1, "method": method, "params": params}, headers=self._headers)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        if "error" in body:
            raise Failed(body["error"])
        return body["result"]


def prepare(rpc: Rpc) -> None:
    """An institution that is a company in Stockholm, a specialty, and a user of the front desk."""
    currency = rpc.create("currency.currency", name="Test krona", symbol="T", code="TST")
    party = rpc.create("party.party", name="Test institution", is_institution=True, fed_country=None)
    rpc.create("gnuhealth.institution", party=party, code="TEST", institution_type="clinic", public_level="private")
    rpc.create("company.company", party=party, currency=currency, timezone="Europe/Stockholm")
    rpc.create("gnuhealth.specialty", name="Test visit", code="TESTVISIT")
    (group,) = rpc.rows("res.group", [["name", "=", "Health Front Desk"]])
    rpc.create("res.user", name="Front desk", login=FRONT_DESK, password=PASSWORD, groups=[["add", [group["id"]]]])
    rpc.close()
