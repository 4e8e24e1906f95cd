"""`python -m gateway sandbox`: the EMR that a plugin holds, served by itself."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from functools import partial

from gateway import logs, serving
from gateway.configuration.settings import load_without_clients
from gateway.registry import PluginError, Registry
from gateway.state_dir import claim

_SANDBOX = "sandbox"


def serve_sandbox(asked: argparse.Namespace) -> int:
    """Until SIGTERM. Raises ConfigError, PluginError, PortTaken, and what claiming its directory raises."""
    settings = load_without_clients(os.environ, config=asked.config)
    embedded = Registry.load({_SANDBOX}).vendor(_SANDBOX).embedded
    if embedded is None:
        raise PluginError(f"plugin {_SANDBOX} has no EMR of its own to serve")
    logs.configure()
    # A directory of its own: the one inside a gateway that runs beside it keeps its data to itself.
    with claim(settings.state_dir / _SANDBOX) as state, closing(serving.bound("127.0.0.1", asked.port)) as listening:
        application = embedded(state.path)
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        async def work(stop: serving.Stop) -> None:
            announce = partial(print, f"The sandbox EMR listens on {url}", flush=True)
            server = serving.Server(application, drain_s=5, announce=announce, lifespan=True)
            await stop.serve((server, listening))

        serving.run(work)
    return 0
