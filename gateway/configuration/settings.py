"""`gateway.toml` and the environment, read into typed settings; every mistake is found before a port opens."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from gateway.clients.admission import Allowance
from gateway.configuration.clients_file import ClientSettings, read_clients
from gateway.configuration.toml_files import ConfigError, checked, read_toml, remembered

DEFAULT_CONFIG = Path("config/gateway.toml")
DEMO_CLIENTS = "demo-clients.toml"
_ADVICE = "name another one with GATEWAY_CONFIG, or work in the directory that holds config/"


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise ValueError("should be an address such as https://gateway.example, without a query")
    return value.rstrip("/")


def _key_reference(value: str) -> str:
    kind, _, where = value.partition(":")
    if value and (kind not in ("env", "file") or not where):
        raise ValueError("should be a reference, env:NAME or file:PATH, never the key itself")
    return value


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if value and not (host and port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError("should be HOST:PORT, such as 127.0.0.1:9090")
    return value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Server(_Section):
    """Where the gateway listens, and how the world calls it."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """0: any free one."""
    public_url: Annotated[str, AfterValidator(_web_address)] = ""
    """What clients reach it by; empty: made of host and port."""
    metrics: Annotated[str, AfterValidator(_address)] = ""
    """HOST:PORT where `/metrics` is served alone; empty: beside all the rest."""


class Limits(_Section):
    """Bounds, each with its unit in its name."""

    max_items: Annotated[int, Field(ge=1, le=1000)] = 100
    lock_wait_s: Annotated[float, Field(ge=0, le=600)] = 10
    key_ttl_h: Annotated[float, Field(gt=0, le=24 * 366)] = 24
    audit_days: Annotated[int, Field(ge=1, le=36600)] = 1830
    renamed_days: Annotated[int, Field(ge=1, le=36600)] = 730
    drain_s: Annotated[float, Field(ge=0, le=600)] = 20
    client_rate: Annotated[float, Field(gt=0, le=1_000_000)] = Allowance().rate
    """Requests a second of one client, and of each; `clients.toml` may say otherwise of one."""
    client_burst: Annotated[int, Field(ge=1, le=1_000_000)] = Allowance().burst
    client_concurrency: Annotated[int, Field(ge=1, le=100_000)] = Allowance().concurrency


class Tracing(_Section):
    """Where spans are sent."""

    endpoint: Annotated[str, AfterValidator(_web_address)] = ""
    """A collector's address for OTLP over HTTP; empty: nothing is traced."""
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Of the requests that come without a trace."""


class _File(_Section):
    state_dir: Annotated[str, Field(min_length=1)] = "../.state"
    clients: Annotated[str, Field(min_length=1)] = "clients.toml"
    key: Annotated[str, AfterValidator(_key_reference)] = ""
    server: Server = Server()
    limits: Limits = Limits()
    tracing: Tracing = Tracing()


class _Environment(_Section):
    HOST: Annotated[str, Field(min_length=1)] | None = None
    PORT: Annotated[int, Field(ge=0, le=65535)] | None = None
    STATE_DIR: str | None = None
    GATEWAY_CONFIG: str | None = None
    GATEWAY_DEMO: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that the gateway has to be told. Paths are absolute or relative to the working directory."""

    server: Server
    limits: Limits
    state_dir: Path
    key: str
    """A reference to the master key; empty: `STATE_DIR/gateway.key`, made where there is none."""
    tracing: Tracing = field(default_factory=Tracing)
    clients: tuple[ClientSettings, ...] = ()
    demo: bool = False
    """The clients are for demonstrations: their secrets are known to everybody."""
    files: Mapping[Path, bytes | None] = field(default_factory=dict, repr=False, compare=False)
    """All that was read for this, with what was found there (`None`: nothing that could be read)."""

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Where `/metrics` is served alone; `None`: it is served beside all the rest."""
        host, _, port = self.server.metrics.rpartition(":")
        return (host.strip("[]"), int(port)) if host else None

    @property
    def allowance(self) -> Allowance:
        """What each client may ask for, unless the clients file says otherwise."""
        limits = self.limits
        return Allowance(rate=limits.client_rate, burst=limits.client_burst, concurrency=limits.client_concurrency)

    @property
    def allowances(self) -> Mapping[str, Allowance]:
        """By client id, of those of whom it does."""
        return {client.id: replace(self.allowance, **client.limits) for client in self.clients if client.limits}

    @property
    def public_url(self) -> str:
        return self.server.public_url or f"http://{_reachable(self.server.host)}:{self.server.port}"


def load(environ: Mapping[str, str], *, config: Path | None = None, demo: bool = False) -> Settings:
    """Read everything; `demo` asks for the demonstration's clients. Raises ConfigError with all mistakes."""
    settings, found = examine(environ, config=config, demo=demo)
    if found:
        raise ConfigError(*found)
    return settings


def load_without_clients(environ: Mapping[str, str], *, config: Path | None = None) -> Settings:
    """All but the clients, whose file may have yet to be written. Raises ConfigError with all mistakes."""
    found: list[str] = []
    settings = _basics(_read(environ, config, found))
    if found:
        raise ConfigError(*found)
    return settings


def examine(
    environ: Mapping[str, str], *, config: Path | None = None, demo: bool = False
) -> tuple[Settings, list[str]]:
    """Settings, as far as they can be read, and every mistake in them as a sentence."""
    with remembered() as files:
        settings, found = _examined(environ, config, demo=demo)
    return replace(settings, files=files), found


def _examined(environ: Mapping[str, str], config: Path | None, *, demo: bool) -> tuple[Settings, list[str]]:
    found: list[str] = []
    read = _read(environ, config, found)
    basics = _basics(read)
    path = _clients_path(read.path.parent, read.file.clients, demo=demo, allowed=read.env.GATEWAY_DEMO)
    clients = read_clients(path, environ, found)
    if clients.demo and not read.env.GATEWAY_DEMO and not _is_loopback(basics.server.host):
        found.append(_exposed(path, basics.server.host))
    return replace(basics, clients=clients.clients, demo=clients.demo), found


def present_secrets(environ: Mapping[str, str], client_id: str, *, config: Path | None = None) -> tuple[str, ...]:
    """What is kept of a client's secrets now; nothing where there is no such client, or no clients file yet."""
    read = _read(environ, config, [])
    clients = read_clients(read.path.parent / read.file.clients, environ, []).clients
    return next((client.secrets for client in clients if client.id == client_id), ())


@dataclass(frozen=True, slots=True)
class _Read:
    path: Path
    file: _File
    env: _Environment


def _read(environ: Mapping[str, str], config: Path | None, found: list[str]) -> _Read:
    given = {name: environ[name] for name in _Environment.model_fields if environ.get(name)}
    env = checked(_Environment, given, "environment", found) or _Environment()
    path = config or Path(env.GATEWAY_CONFIG or DEFAULT_CONFIG)
    return _Read(path, checked(_File, read_toml(path, _ADVICE, found), str(path), found) or _File(), env)


def _basics(read: _Read) -> Settings:
    beside = read.path.parent
    return Settings(
        server=read.file.server.model_copy(update=_overrides(read.env)),
        limits=read.file.limits,
        tracing=read.file.tracing,
        state_dir=Path(read.env.STATE_DIR or beside / read.file.state_dir),
        key=_beside(beside, read.file.key),
    )


def _clients_path(directory: Path, named: str, *, demo: bool, allowed: bool) -> Path:
    own = directory / named
    return directory / DEMO_CLIENTS if demo or (allowed and not own.exists()) else own


def _overrides(env: _Environment) -> dict[str, Any]:
    given = {"host": env.HOST, "port": env.PORT}
    return {name: value for name, value in given.items() if value is not None}


def _exposed(path: Path, host: str) -> str:
    return (
        f"{path}: is for demonstrations, its secrets are known to everybody, and others can reach host {host}; "
        "listen on 127.0.0.1, or set GATEWAY_DEMO=1 if that is what you want"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reachable(host: str) -> str:
    """A host as it stands in an address; the unspecified ones are no address to call."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "localhost"
    return f"[{address}]" if address.version == 6 else str(address)


def _beside(directory: Path, reference: str) -> str:
    """A key file's path is relative to the file that names it."""
    kind, _, where = reference.partition(":")
    return f"file:{directory / where}" if kind == "file" else reference
