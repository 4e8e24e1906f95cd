"""What one configuration lets in and reaches that another one does not, by name: for the audit, and with no value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.configuration.clients_file import AccountSettings, ClientSettings
from gateway.configuration.settings import Settings

Difference = Mapping[str, Sequence[str]]
"""By what has become of them: the ids of clients; accounts as `client/key`. Only what there is."""


def difference(before: Settings | None, after: Settings) -> Difference:
    """`before`: `None` where the process begins."""
    was = {client.id: client for client in before.clients} if before is not None else {}
    now = {client.id: client for client in after.clients}
    both = was.keys() & now.keys()
    earlier, later = _accounts(was), _accounts(now)
    found = {
        "clients_added": now.keys() - was.keys(),
        "clients_removed": was.keys() - now.keys(),
        "secrets_changed": {id for id in both if was[id].secrets != now[id].secrets},
        "limits_changed": {id for id in both if was[id].limits != now[id].limits},
        "accounts_added": later.keys() - earlier.keys(),
        "accounts_removed": earlier.keys() - later.keys(),
        "accounts_changed": {name for name in earlier.keys() & later.keys() if earlier[name] != later[name]},
    }
    return {what: tuple(sorted(names)) for what, names in found.items() if names}


def _accounts(clients: Mapping[str, ClientSettings]) -> Mapping[str, AccountSettings]:
    return {f"{id}/{account.key}": account for id, client in clients.items() for account in client.emrs}
