"""Does the gateway stay what it is, hour after hour? A real one, over a real socket, on an EMR in another process.

    python -m soak [--seconds N]

It is first driven as hard as it goes, to find its load, and then at half of that. Memory, open files, threads and tasks
are sampled all the time, by its own `/metrics`; meanwhile its configuration is replaced again and again. Exit status: 0
if nothing has grown, 1 if something has, or if anything was answered that should not have been.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families as families

from soak.judge import MEGABYTE, WARMING, Sample, complaints
from soak.load import Clinic, evenly, flat_out
from tests.e2e.processes import CLIENTS, process, sandbox
from tests.live.processes import free_port

HOUR_S = 3600.0
FINDING_S = 8.0
IDLE_S = 8.0
"""Longer than a connection is kept that nobody uses."""
RELOAD_S = 10.0
_ANOTHER = """
[[clients]]
id = "another-{n}"
secret = "plain:another-secret"
"""


@contextmanager
def gateway(folder: Path, emr: str) -> Iterator[str]:
    port = free_port()
    (folder / "gateway.toml").write_text('state_dir = "state"\nclients = "clients.toml"\n[limits]\nkey_ttl_h = 0.01\n')
    configure(folder, emr, 0)
    url = f"http://127.0.0.1:{port}"
    settings = {"GATEWAY_CONFIG": str(folder / "gateway.toml"), "PORT": str(port)}
    with process(folder, "gateway", (f"{url}/readyz", 200), "serve", **settings):
        yield url


def configure(folder: Path, emr: str, n: int) -> None:
    """As it was, with another client beside; renamed over what was there."""
    draft = folder / "draft"
    account = CLIENTS.format(base=emr, personality="in-place", clinic="soak")
    draft.write_text(account + _ANOTHER.format(n=n))
    draft.replace(folder / "clients.toml")


async def sample(http: aiohttp.ClientSession, began: float) -> Sample:
    async with http.get("/metrics") as answer:
        text = await answer.text()
    found = {one.name: one.value for family in families(text) for one in family.samples if not one.labels}
    return Sample(
        time.monotonic() - began,
        memory=found["process_resident_memory_bytes"],
        files=found["process_open_fds"],
        threads=found["gateway_threads"],
        tasks=found["gateway_tasks"],
    )


async def soaked(folder: Path, emr: str, url: str, seconds: float) -> list[str]:
    """→ what is wrong."""
    async with aiohttp.ClientSession(url) as http, aiohttp.ClientSession(url) as metrics:
        clinic, began = Clinic(http, "emr"), time.monotonic()
        await clinic.prepare()
        load = await flat_out(clinic, FINDING_S)
        await asyncio.sleep(IDLE_S)
        idle = await sample(metrics, began)
        clinic.lasted_s.clear()
        print(f"its load: {load:.0f} requests a second; idle: {told(idle)}", flush=True)
        samples = await under_load(clinic, metrics, folder, emr, load / 2, seconds)
        await asyncio.sleep(IDLE_S)
        after = await sample(metrics, began)
        switched, refused = await reloads(metrics)
    print(f"its configuration was switched {switched:.0f} times")
    tell(clinic, samples, after, folder)
    wrong = [f"answered otherwise: {what}, {count} times" for what, count in clinic.wrong.items()]
    if refused or switched < seconds / RELOAD_S / 2:
        wrong.append(f"its configuration was switched {switched:.0f} times, and refused {refused:.0f} times")
    return [*complaints(samples, idle, after), *wrong]


async def reloads(http: aiohttp.ClientSession) -> tuple[float, float]:
    """How often the configuration was switched, and how often it was refused."""
    async with http.get("/metrics") as answer:
        text = await answer.text()
    found = {
        one.labels["result"]: one.value
        for family in families(text)
        for one in family.samples
        if one.name == "gateway_configuration_reloads_total"
    }
    return found["switched"], found["refused"]


async def under_load(
    clinic: Clinic, metrics: aiohttp.ClientSession, folder: Path, emr: str, per_second: float, seconds: float
) -> Sequence[Sample]:
    samples: list[Sample] = []
    began = time.monotonic()

    async def watching() -> None:
        reloads = 0
        while True:
            if time.monotonic() - began > reloads * RELOAD_S:
                reloads += 1
                configure(folder, emr, reloads)
            samples.append(await sample(metrics, began))
            await asyncio.sleep(seconds / 200)

    watch = asyncio.create_task(watching())
    await evenly(clinic, per_second, seconds)
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    return samples


def told(one: Sample) -> str:
    return f"{one.memory / MEGABYTE:.1f} MB, {one.files:.0f} files, {one.threads:.0f} threads, {one.tasks:.0f} tasks"


def tell(clinic: Clinic, samples: Sequence[Sample], after: Sample, folder: Path) -> None:
    for one in samples[:: max(1, len(samples) // 12)]:
        print(f"{one.at_s:7.0f} s  {told(one)}")
    lasted = sorted(clinic.lasted_s)
    print(f"idle again: {told(after)}")
    print(
        f"{len(lasted)} requests, median {statistics.median(lasted) * 1000:.1f} ms, "
        f"99 of 100 within {lasted[int(len(lasted) * 0.99)] * 1000:.0f} ms; ledger "
        f"{(folder / 'state/ledger.sqlite').stat().st_size / MEGABYTE:.1f} MB"
    )
    print(", ".join(f"{count} {what}" for what, count in clinic.done.most_common()))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m soak")
    parser.add_argument("--seconds", type=float, default=HOUR_S, help=f"of which {WARMING:.0%} at first do not count")
    seconds = parser.parse_args(arguments).seconds
    with tempfile.TemporaryDirectory(prefix="soak") as name, sandbox(Path(name)) as emr:
        folder = Path(name) / "gateway"
        folder.mkdir()
        with gateway(folder, emr) as url:
            wrong = asyncio.run(soaked(folder, emr, url, seconds))
    print(*wrong or ["nothing has grown"], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
