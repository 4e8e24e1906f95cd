"""The command line as its users have it: processes, signals, and what they print."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import serving
from gateway.__main__ import main
from gateway.clients.auth import Clients, client_hash
from gateway.configuration.settings import load
from gateway.domain.errors import Unauthorized
from gateway.keys import Keys
from gateway.registry import Registry
from gateway.state_dir import claim
from tests.config_files import CLIENT, write

ROOT = Path(__file__).parents[1]
PATIENCE_S = 60
INSTALLED = ", ".join(Registry.load(()).available)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in ("HOST", "GATEWAY_CONFIG", "GATEWAY_DEMO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PORT", "0")
    monkeypatch.chdir(ROOT)


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "gateway", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        patience = threading.Timer(PATIENCE_S, started.kill)
        patience.start()
        try:
            yield started
        finally:
            patience.cancel()
            started.kill()


def line(started: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert started.stdout is not None
    printed = started.stdout.readline()
    assert printed.endswith("\n"), "it ended, or printed nothing in time"
    return printed.rstrip("\n")


def url(line: str) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    return found[0]


def bash(script: str) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


# -- serve ------------------------------------------------------------------------------------------------------------


@needs_curl
def test_the_demonstration_prints_lines_that_work_as_they_stand_and_ends_when_asked_to():
    with process("serve", "--demo") as served:
        base = url(line(served))
        printed = [line(served) for _ in range(6)]
        assert [text for text in printed if text.startswith("#")] == printed[::2]
        slots, moved, seen = (json.loads(bash(command)) for command in printed[1::2])
        assert (moved["start"], moved["end"]) in {(slot["start"], slot["end"]) for slot in slots}
        assert (seen["id"], seen["start"], seen["end"]) == (moved["id"], moved["start"], moved["end"])

        with urllib.request.urlopen(f"{base}/healthz", timeout=PATIENCE_S) as answer:
            assert "server" not in answer.headers
        served.send_signal(signal.SIGTERM)
        _, logged = served.communicate(timeout=PATIENCE_S)
    assert served.returncode == 0
    logs = [json.loads(text) for text in logged.splitlines()]
    assert logs
    assert moved["id"] not in logged
    assert "/api/" not in logged
    assert all({"time", "level", "logger", "message"} <= set(entry) for entry in logs)


@needs_curl
def test_the_first_commands_of_the_readme_work_as_they_stand():
    script = re.search(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert script
    with process("serve", "--demo") as served:
        local = script[1].replace("http://127.0.0.1:8080", url(line(served)))
        *_, moved, commented, cancelled = map(json.loads, re.sub(r"}{", "}\n{", bash(local)).splitlines())
        served.send_signal(signal.SIGINT)
        served.communicate(timeout=PATIENCE_S)
    assert served.returncode == 0
    assert moved["status"] == "booked"
    assert (commented["start"], commented["comment"]) == (moved["start"], "Bring your passport.")
    assert cancelled["status"] == "cancelled"


def get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def test_metrics_are_served_beside_the_rest_or_at_an_address_of_their_own(tmp_path):
    with process("serve", "--demo") as served:
        assert "gateway_info{" in get(f"{url(line(served))}/metrics")[1]
    (tmp_path / "demo-clients.toml").write_text((ROOT / "config" / "demo-clients.toml").read_text())
    with closing(serving.bound("127.0.0.1", 0)) as free:
        apart = f"127.0.0.1:{free.getsockname()[1]}"
    path = write(tmp_path, f'[server]\nmetrics = "{apart}"\n')
    with process("serve", "--demo", "--config", str(path)) as served:
        base = url(line(served))
        assert get(f"{base}/metrics")[0] == 404
        told = get(f"http://{apart}/metrics")[1]
        assert "gateway_info{" in told
        assert 'gateway_commands_unsettled{state="needs_attention"} 0.0' in told
        assert get(f"http://{apart}/healthz")[0] == 404
        served.send_signal(signal.SIGTERM)
        served.communicate(timeout=PATIENCE_S)
    assert served.returncode == 0


def test_a_second_gateway_on_one_state_directory_refuses_to_start_with_a_sentence(tmp_path, capsys):
    with claim(tmp_path / "state"):
        assert main(["serve", "--demo"]) == 1
    assert re.fullmatch(r"STATE_DIR .* is used by another gateway process.*\n", capsys.readouterr().err)


def test_a_port_that_is_taken_is_said_before_anything_is_started(tmp_path, capsys, monkeypatch):
    with process("sandbox", "--port", "0") as other:
        port = url(line(other)).rpartition(":")[2]
        monkeypatch.setenv("PORT", port)
        assert main(["serve", "--demo"]) == 1
    assert capsys.readouterr().err.startswith(f"port {port} of 127.0.0.1 can't be listened on")
    assert not (tmp_path / "state" / "ledger.sqlite").exists()


def test_mistakes_are_said_before_a_port_opens(tmp_path, capsys):
    path = write(tmp_path, clients=CLIENT + '[clients.emrs.a]\nplugin = "ghost"\n[clients.emrs.B]\nplugin = "fhir"\n')
    assert main(["serve", "--config", str(path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "state").exists()


# -- check ------------------------------------------------------------------------------------------------------------


def test_check_is_content_with_the_demonstration(capsys):
    assert main(["check", "--demo", "--connect"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "The configuration is right: 2 clients, 3 EMR accounts.",
        "Every EMR account answers.",
    ]


def test_check_says_every_mistake_of_files_plugins_and_key(tmp_path, capsys):
    sandbox = '[clients.emrs.s]\nplugin = "sandbox"\nsettings = { clinic = "s" }\n'
    ghost = '[clients.emrs.g]\nplugin = "ghost"\nsettings = { key = "env:GONE" }\n'
    path = write(tmp_path, 'key = "file:gone"\nport = 3\n', CLIENT + sandbox + ghost)
    assert main(["check", "--config", str(path)]) == 1
    said = capsys.readouterr().err.replace(f"{tmp_path}/", "").splitlines()
    assert said == [
        "gateway.toml: port is not known here; remove it",
        "clients.toml: client app: emrs.g.settings.key refers to GONE, which the environment does not have; set it",
        "The key file gone can't be read (FileNotFoundError).",
        "clients.toml: client app: emrs.s.settings: api_key is missing; give it a value",
        f"clients.toml: client app: emrs.g: plugin ghost is not installed; installed are: {INSTALLED}",
    ]
    assert not (tmp_path / "state").exists()


def test_check_connects_to_every_account_and_says_which_does_not_answer(tmp_path, capsys):
    unreachable = '[clients.emrs.a]\nplugin = "fhir"\nsettings = { base_url = "http://127.0.0.1:9" }\n'
    wrong_key = '[clients.emrs.b]\nplugin = "sandbox"\nsettings = { clinic = "b", api_key = "hunter2-hunter2" }\n'
    path = write(tmp_path, clients="demo = true\n" + CLIENT + unreachable + wrong_key)
    assert main(["check", "--config", str(path), "--connect"]) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "client app: emrs.a does not answer: it can't be reached: not sent (ConnectError)",
        "client app: emrs.b does not answer: it refuses (credentials)",
    ]


# -- emrs, sandbox ----------------------------------------------------------------------------------------------------


def test_emrs_lists_the_plugins_and_what_they_can_do(capsys):
    assert main(["emrs"]) == 0
    said = capsys.readouterr().out
    assert "sandbox: Sandbox EMR\n" in said
    assert "  free_time: slots\n" in said
    live = "    standard (GNU Health HIS 5): tested live: GNU Health HIS 5.0.6 on SQLite and PostgreSQL\n"
    assert live in said
    no_move = (
        "    no-move (slots, never moved): tested own: the sandbox itself\n      move: none\n      reassign: none\n"
    )
    assert no_move in said


def test_emrs_says_what_is_broken_and_lists_the_others(capsys, monkeypatch):
    loaded = Registry.load()
    loaded.broken["acme"] = ("plugin acme can't be imported",)
    monkeypatch.setattr(Registry, "load", lambda: loaded)
    assert main(["emrs"]) == 1
    said = capsys.readouterr()
    assert said.err == "plugin acme can't be imported\n"
    assert "sandbox: Sandbox EMR\n" in said.out


def test_the_sandbox_can_be_served_by_itself(tmp_path):
    with process("sandbox", "--port", "0") as served:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{url(line(served))}/in-place/demo/register/sites", timeout=PATIENCE_S)
        refused.value.close()
        assert refused.value.code == 401
        served.send_signal(signal.SIGTERM)
        served.communicate(timeout=PATIENCE_S)
    assert served.returncode == 0
    assert (tmp_path / "state" / "sandbox").is_dir()


# -- secret -----------------------------------------------------------------------------------------------------------


def lets_in(kept: str, secret: str, keys: Keys) -> bool:
    """Does the line for the clients file let `app` in with this secret?"""
    line = re.fullmatch(r'secret = "(.*)"', kept)
    assert line
    clients = Clients({"app": [line[1]]}, keys)
    try:
        return asyncio.run(clients.authenticate("app", secret)).client_id == "app"
    finally:
        clients.close()


def test_a_secret_is_made_and_shown_once_with_the_line_for_the_file(tmp_path, capsys):
    path = tmp_path / "gateway.toml"
    path.touch()
    assert main(["secret", "app", "--config", str(path)]) == 0
    shown, kept = capsys.readouterr().out.splitlines()
    secret = shown.rpartition(" ")[2]
    assert len(secret) >= 22  # 128 bits and more as base64
    assert secret not in kept
    keys = Keys.from_file(tmp_path / "state" / "gateway.key", create=False)
    assert lets_in(kept, secret, keys)
    write(tmp_path, clients=f'[[clients]]\nid = "app"\n{kept}\n')
    assert load(os.environ, config=path).clients[0].secrets == (f"hmac:{client_hash(keys, 'app', secret)}",)


def test_a_client_s_next_secret_overlaps_with_the_present_one(tmp_path, capsys):
    path = tmp_path / "gateway.toml"
    path.touch()
    secrets, line = [], ""
    for _ in range(3):
        assert main(["secret", "app", "--config", str(path), "--overlap-days", "2"]) == 0
        shown, *_, line = capsys.readouterr().out.splitlines()
        secrets.append(shown.rpartition(" ")[2])
        write(tmp_path, clients=f'[[clients]]\nid = "app"\n{line}\n')
    kept = load(os.environ, config=path).clients[0].secrets
    assert len(kept) == 2
    ends = datetime.fromisoformat(kept[1].partition(" until ")[2]) - datetime.now(UTC)
    assert timedelta(days=1.9) < ends <= timedelta(days=2)
    keys = Keys.from_file(tmp_path / "state" / "gateway.key", create=False)

    def let_in(now: datetime) -> list[bool]:
        clients = Clients({"app": kept}, keys, now=lambda: now)
        answers = [asyncio.run(_is_in(clients, secret)) for secret in secrets]
        clients.close()
        return answers

    assert let_in(datetime.now(UTC)) == [False, True, True]
    assert let_in(datetime.now(UTC) + timedelta(days=2)) == [False, False, True]


async def _is_in(clients: Clients, secret: str) -> bool:
    try:
        await clients.authenticate("app", secret)
    except Unauthorized:
        return False
    return True


def test_a_secret_that_a_person_chose_is_hashed_by_argon2(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    command = [sys.executable, "-m", "gateway", "secret", "app", "--argon2"]
    done = subprocess.run(command, input="ett långt lösenord\n", capture_output=True, text=True, timeout=PATIENCE_S)
    kept = done.stdout.strip()
    assert lets_in(kept, "ett långt lösenord".encode().decode("latin-1"), Keys(bytes(32)))
    short = subprocess.run(command, input="short\n", capture_output=True, text=True, timeout=PATIENCE_S)
    assert (short.returncode, short.stdout) == (1, "")
    assert "12 characters or more" in short.stderr


# -- version ----------------------------------------------------------------------------------------------------------


def test_the_version_tells_which_time_zones_are_known(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(
        r"emr-gateway \S+ \(plugin API 1, tzdata 20\d\d\.\d+, Python 3\.\S+\)\n", capsys.readouterr().out
    )
