"""The clients file: who may call, with which secret, and which EMR accounts they have.

Secrets of EMRs stand in it only as references (`gateway.configuration.references`); secrets of clients only as hashes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from pydantic import BaseModel, ConfigDict, Field, StrictBool

from gateway.clients.kept import taken_apart
from gateway.configuration.references import HINT, is_reference, replaced
from gateway.configuration.toml_files import checked, read_toml
from gateway.declared import KEY
from gateway.domain.capabilities import SlotCheck
from gateway.vendor.way import DIRECT, Proxy, Tls, Way

_ADVICE = "copy clients.example.toml there, or try the demonstration with `serve --demo`"
WRITTEN_OUT = f"is a secret; refer to it as {HINT}"
_HMAC = re.compile(r"[0-9a-f]{64}")


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _ClientsRow(_Row):
    demo: bool = False
    clients: list[dict[str, Any]] = []


class _LimitsRow(_Row):
    rate: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    burst: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    concurrency: Annotated[int, Field(ge=1, le=100_000)] | None = None


class _ClientRow(_Row):
    id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
    secret: Annotated[str | list[str], Field(union_mode="left_to_right")]
    limits: _LimitsRow = _LimitsRow()
    emrs: dict[str, dict[str, Any]] = {}


class _TlsRow(_Row):
    ca: str | None = None
    certificate: str | None = None
    private_key: str | None = Field(default=None, repr=False)
    key_password: str | None = Field(default=None, repr=False)


class _EmrRow(_Row):
    plugin: str
    name: str = ""
    slot_check: SlotCheck | None = None
    notify: StrictBool | None = None
    cancel_reason: Annotated[str, Field(pattern=r"^\S+(\s\S+)*$")] | None = None
    traceparent: StrictBool = False
    tls: _TlsRow | None = None
    proxy: str | None = Field(default=None, repr=False)
    settings: dict[str, Any] = {}


OF_ACCOUNTS = frozenset(_EmrRow.model_fields) - {"settings"}
"""The settings that every account has, whatever its plugin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """One EMR account as it is configured; its plugin has not seen it yet."""

    key: str
    plugin: str
    name: str
    slot_check: SlotCheck | None
    given: Mapping[str, Any] = field(repr=False)
    """The plugin's settings as they are written."""
    values: Mapping[str, Any] = field(repr=False)
    """The same with every reference replaced by what it refers to; `Stored` for what is in the gateway's own store."""
    place: str
    """Where it is written, for sentences about it."""
    notify: bool | None = None
    cancel_reason: str | None = None
    traceparent: bool = False
    """Is its EMR told the trace that a request belongs to?"""
    way: Way = DIRECT
    plain_allowed: bool = False
    """Secrets may stand in the file itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    id: str
    secrets: tuple[str, ...] = field(repr=False)
    """Each `hmac:…`, `argon2:…` or, in a demonstration, `plain:…`; any of them lets the client in, until its end
    where it has one (` until …`)."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """What differs from the allowance that clients have."""
    emrs: tuple[AccountSettings, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsFile:
    demo: bool = False
    clients: tuple[ClientSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class _Reading:
    """One pass through the file: what every part of it needs to know."""

    path: Path
    environ: Mapping[str, str]
    found: list[str]
    demo: bool
    proven: set[Tls] = field(default_factory=set)
    """What was looked at already: many accounts may have the same, and to try it takes a while."""


def read_clients(path: Path, environ: Mapping[str, str], found: list[str]) -> ClientsFile:
    """The clients that can be read; every mistake becomes a sentence in `found`."""
    before = len(found)
    table = read_toml(path, _ADVICE, found)
    row = checked(_ClientsRow, table, str(path), found) or _ClientsRow()
    reading = _Reading(path, environ, found, row.demo)
    read = (_client(given, index, reading) for index, given in enumerate(row.clients, start=1))
    clients = tuple(client for client in read if client is not None)
    if not row.clients and len(found) == before:
        found.append(f"{path}: names no client; add a [[clients]] table")
    found.extend(f"{path}: client {id} is there more than once; keep one" for id in _repeated(clients))
    return ClientsFile(demo=row.demo, clients=clients)


def _client(given: Mapping[str, Any], index: int, reading: _Reading) -> ClientSettings | None:
    place = f"{reading.path}: client {_label(given.get('id'), index)}"
    row = checked(_ClientRow, given, place, reading.found)
    # What else stands under a client that can't be read is looked at all the same: all mistakes at once.
    accounts = tuple(_accounts(given.get("emrs"), place, reading))
    secrets = _secrets(given.get("secret"))
    if secrets is not None:
        reading.found.extend(f"{place}: {mistake}" for mistake in _secret_mistakes(secrets, demo=reading.demo))
    if row is None:
        return None
    limits = row.limits.model_dump(exclude_none=True)
    return ClientSettings(id=row.id, secrets=secrets or (), limits=limits, emrs=accounts)


def _secrets(given: object) -> tuple[str, ...] | None:
    """One secret or a list of them; `None`: something else, or nothing."""
    secrets = [given] if isinstance(given, str) else given
    if isinstance(secrets, list) and all(isinstance(secret, str) for secret in secrets):
        return tuple(secrets)
    return None


def _accounts(emrs: object, place: str, reading: _Reading) -> Iterable[AccountSettings]:
    for key, given in emrs.items() if isinstance(emrs, Mapping) else ():
        where = f"{place}: emrs.{key}"
        if not KEY.fullmatch(key):
            reading.found.append(f"{where} should be a slug of a-z, 0-9, - and _: it stands in addresses")
        row = checked(_EmrRow, given, where, reading.found) if isinstance(given, Mapping) else None
        if row is not None:
            yield AccountSettings(
                key=key,
                plugin=row.plugin,
                name=row.name,
                slot_check=row.slot_check,
                given=row.settings,
                values=_settings(row, where, reading),
                place=where,
                notify=row.notify,
                cancel_reason=row.cancel_reason,
                traceparent=row.traceparent,
                way=_way(row, where, reading),
                plain_allowed=reading.demo,
            )


def _settings(row: _EmrRow, where: str, reading: _Reading) -> Mapping[str, Any]:
    place = f"{where}.settings"
    found: Mapping[str, Any] = replaced(
        row.settings, place, reading.path, reading.environ, reading.found, storable=True
    )
    return found


# -- ways -------------------------------------------------------------------------------------------------------------


def _way(row: _EmrRow, where: str, reading: _Reading) -> Way:
    tls = None if row.tls is None else _tls(row.tls, f"{where}.tls", reading)
    return Way(tls=tls, proxy=None if row.proxy is None else _proxy(row.proxy, where, reading))


def _tls(row: _TlsRow, where: str, reading: _Reading) -> Tls:
    given, before = row.model_dump(exclude_none=True), len(reading.found)
    for name in ("private_key", "key_password"):
        if name in given and not is_reference(given[name]) and not reading.demo:
            reading.found.append(f"{where}.{name} {WRITTEN_OUT}")
    tls = Tls(**replaced(given, where, reading.path, reading.environ, reading.found))
    if len(reading.found) == before and tls not in reading.proven:
        reading.proven.add(tls)
        reading.found.extend(f"{where}.{mistake}" for mistake in tls.mistakes())
    return tls


def _proxy(given: str, where: str, reading: _Reading) -> Proxy | None:
    before = len(reading.found)
    told = replaced({"proxy": given}, where, reading.path, reading.environ, reading.found)
    if len(reading.found) > before:
        return None
    try:
        proxy = Proxy.parse(told["proxy"])
    except ValueError as error:
        reading.found.append(f"{where}.proxy {error}")
        return None
    if proxy.authorization is not None and not is_reference(given) and not reading.demo:
        reading.found.append(f"{where}.proxy holds a password, which {WRITTEN_OUT}")
    return proxy


# -- secrets of clients -----------------------------------------------------------------------------------------------


def _secret_mistakes(secrets: tuple[str, ...], *, demo: bool) -> Iterable[str]:
    if not secrets:
        yield "secret is an empty list; make one with `python -m gateway secret`"
    for secret in secrets:
        try:
            kept = taken_apart(secret)
        except ValueError:
            yield "secret should end with an instant after `until`, such as 2031-03-03T09:00:00Z"
            continue
        if kept.kind == "plain" and not demo:
            yield "a plain: secret is for files that say demo = true; make one with `python -m gateway secret`"
        elif not _well_formed(kept.kind, kept.value):
            yield "secret should be hmac:… or argon2:… as `python -m gateway secret` prints it"


def _well_formed(kind: str, value: str) -> bool:
    if kind == "argon2":
        try:
            extract_parameters(value)
        except InvalidHashError:
            return False
        return True
    return bool(_HMAC.fullmatch(value)) if kind == "hmac" else kind == "plain" and bool(value)


def _label(id: object, index: int) -> str:
    """A client by its id, where that can be shown; else by its place in the file."""
    return id if isinstance(id, str) and re.fullmatch(r"[\w.-]{1,40}", id) else f"no. {index}"


def _repeated(clients: tuple[ClientSettings, ...]) -> list[str]:
    ids = [client.id for client in clients]
    return sorted({id for id in ids if ids.count(id) > 1})
