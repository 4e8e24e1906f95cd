"""What is offered for an installation: it can be read, it is as safe as documented, and its configuration is right."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from gateway.app import mistakes_in
from gateway.configuration.settings import Limits, examine
from tests.supply.dockerfile import ROOT, read

DEPLOY = ROOT / "deploy"
LONGEST_STOP_S = Limits().drain_s + 5
USER = 10001


def objects() -> dict[str, dict[str, Any]]:
    return {found["kind"]: found for found in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}


@pytest.fixture
def pod() -> dict[str, Any]:
    return objects()["StatefulSet"]["spec"]["template"]["spec"]


@pytest.fixture
def container(pod) -> dict[str, Any]:
    (found,) = pod["containers"]
    return found


def test_there_is_never_more_than_one_of_it():
    spec = objects()["StatefulSet"]["spec"]
    assert spec["replicas"] == 1
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


def test_it_is_nobody_of_importance_and_writes_to_its_state_and_to_tmp_alone(pod, container):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == USER
    assert f"--uid {USER}" in " ".join(read()[-1].all("RUN"))
    assert pod["automountServiceAccountToken"] is False
    own = container["securityContext"]
    assert own["readOnlyRootFilesystem"] is True
    assert own["allowPrivilegeEscalation"] is False
    assert own["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/state", "/tmp"}
    assert all("subPath" not in mount for mount in container["volumeMounts"]), "it would never change"
    named = {volume["name"] for volume in pod["volumes"]} | {"state"}
    assert {mount["name"] for mount in container["volumeMounts"]} == named


def test_it_is_alive_while_its_store_is_down_and_gets_no_requests(container):
    paths = {
        probe: container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert all(container[probe]["httpGet"]["port"] in ports for probe in paths)
    assert str(ports["http"]) == read()[-1].environment["PORT"]


def test_it_has_the_time_that_it_takes_to_stop(pod):
    assert pod["terminationGracePeriodSeconds"] >= LONGEST_STOP_S
    (service,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    assert int(service["stop_grace_period"].removesuffix("s")) >= LONGEST_STOP_S
    assert int(unit("service")["Service"]["TimeoutStopSec"]) >= LONGEST_STOP_S


def test_its_configuration_is_right_once_the_secrets_are_there(tmp_path):
    told = objects()
    (tmp_path / "secrets").mkdir()
    for name in told["Secret"]["stringData"]:
        (tmp_path / "secrets" / name).write_text("ab" * 32)
    for name, text in told["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text.replace("/secrets/", f"{tmp_path}/secrets/"))
    environ = {"GATEWAY_CONFIG": str(tmp_path / "gateway.toml"), "HOST": "0.0.0.0"}
    settings, found = examine(environ)
    assert [*found, *mistakes_in(settings)] == []
    assert [client.id for client in settings.clients] == ["booking-app"]


def test_compose_says_the_same():
    (service,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert {volume.rpartition(":")[2] for volume in service["volumes"] if not volume.startswith("state:")} == {"ro"}
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def unit(kind: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    found.optionxform = str
    found.read(DEPLOY / f"emr-gateway.{kind}")
    return found


def test_the_units_belong_together_and_reload_by_the_signal_that_is_heeded():
    service = unit("service")
    assert service["Unit"]["Requires"] == "emr-gateway.socket"
    assert "-HUP" in service["Service"]["ExecReload"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", unit("socket")["Socket"]["ListenStream"])


def names_in_documents() -> Iterator[str]:
    yield from re.findall(r"\]\(\.\./(deploy/[^)]+)\)", (ROOT / "docs" / "deploy.md").read_text())


def test_the_documents_name_all_of_it():
    assert set(names_in_documents()) == {f"deploy/{path.name}" for path in DEPLOY.iterdir()}
