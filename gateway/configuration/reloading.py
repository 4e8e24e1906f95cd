"""The configuration is read again when its files change, or when somebody asks for that by a signal.

A candidate has to prove itself before anything is switched; one that can't is told in the log and is nowhere else seen:
what ran before goes on. Looked at are the files themselves, every other second, so that it does not matter how they are
replaced: renamed over, written in place, or by a link that leads elsewhere, as in a mounted ConfigMap.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Literal, Protocol

from pydantic import BaseModel

from gateway import clock
from gateway.api import Configured
from gateway.configuration.difference import difference
from gateway.configuration.settings import Settings
from gateway.configuration.toml_files import ConfigError
from gateway.frames import frames
from gateway.keys import Keys

log = logging.getLogger("gateway.configuration")

LOOKS_S = 2.0
_DIGITS = 16

Read = Callable[[], tuple[Settings, list[str]]]
"""The settings as they are on the disk now, and every mistake in them."""
Result = Literal["switched", "refused", "unchanged"]
Heard = Callable[[Result, Configured], Awaitable[None]]
"""Is told how each reading ended, and what runs after it."""


class Switch(Protocol):
    async def to(self, settings: Settings) -> None:
        """All of it, or nothing. Raises ConfigError."""
        ...


async def _nobody(_: Result, __: Configured) -> None:
    return


class Reloading:
    """`heard` is told of every reading."""

    def __init__(self, settings: Settings, keys: Keys, read: Read, switch: Switch, heard: Heard = _nobody) -> None:
        self._running, self._keys, self._read, self._switch, self._heard = settings, keys, read, switch, heard
        digest = _digest(keys, settings)
        changed = difference(None, settings)
        self.told = Configured(digest=digest, since=clock.now(), on_disk=digest, changed=changed)
        self._files: tuple[Path, ...] = tuple(settings.files)
        self._seen: Hashable = None
        self._read_at: Hashable = None
        self._asked = asyncio.Event()

    def hurry(self) -> None:
        """Read again now, whether or not anything has changed."""
        self._asked.set()

    async def watch(self) -> None:
        """For ever."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOKS_S):
                    await self._asked.wait()
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001  our own bug must not end the watch
                log.error("the configuration can't be read again: %s at %s", type(error).__name__, frames(error))

    async def look(self) -> None:
        """Once. What is just being written is left until it stays as it is."""
        asked = self._asked.is_set()
        self._asked.clear()
        seen = await asyncio.to_thread(_stamps, self._files)
        before, self._seen = self._seen, seen
        if asked or (seen == before and seen != self._read_at):
            await self._again(asked=asked)

    async def _again(self, *, asked: bool) -> None:
        settings, found = await asyncio.to_thread(self._read)
        self._files = tuple(dict.fromkeys((*self._running.files, *settings.files)))
        stamps = await asyncio.to_thread(_stamps, self._files)
        if await asyncio.to_thread(_contents, settings.files) != dict(settings.files):
            return  # changed while it was read: the next look comes soon
        self._read_at = self._seen = stamps
        digest = _digest(self._keys, settings)
        result = await self._tried(settings, found, digest, asked=asked)
        await self._heard(result, self.told)

    async def _tried(self, settings: Settings, found: list[str], digest: str, *, asked: bool) -> Result:
        if digest == self.told.digest and not found:
            if asked or self.told.differs:
                log.info("the configuration on the disk is the one that runs: %s", digest)
            self.told = replace(self.told, on_disk=digest, refused=())
            return "unchanged"
        try:
            _none_of([*found, *_fixed(self._running, settings)])
            await self._switch.to(settings)
        except ConfigError as refused:
            self._refuse(digest, refused.args)
            return "refused"
        changed, self._running = difference(self._running, settings), settings
        self.told = Configured(digest=digest, since=clock.now(), on_disk=digest, changed=changed)
        log.info("the configuration %s runs from now on", digest)
        return "switched"

    def _refuse(self, digest: str, sentences: tuple[str, ...]) -> None:
        self.told = replace(self.told, on_disk=digest, refused=sentences)
        log.error("the configuration %s can't be used: %s goes on", digest, self.told.digest)
        for sentence in sentences:
            log.error("%s", sentence)


def _none_of(found: list[str]) -> None:
    if found:
        raise ConfigError(*found)


def _digest(keys: Keys, settings: Settings) -> str:
    """Keyed, since it is told to everybody: nobody can try secrets by it."""
    contents = (b"-" if found is None else b"+" + found for found in settings.files.values())
    # Not everything that is referred to is a file.
    values = [(account.values, asdict(account.way)) for client in settings.clients for account in client.emrs]
    return keys.hmac("configuration", *contents, json.dumps(values, default=str))[:_DIGITS]


def _stamps(files: Iterable[Path]) -> Hashable:
    """What a changed file is known by, without reading it."""
    return tuple(map(_stamp, files))


def _stamp(path: Path) -> Hashable:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _contents(files: Mapping[Path, bytes | None]) -> Mapping[Path, bytes | None]:
    return {path: _content(path) for path in files}


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _fixed(running: Settings, settings: Settings) -> list[str]:
    """What can't be switched while it runs: a sentence for each setting that is another one."""
    switched = {"clients", "files"}
    names = [field.name for field in fields(Settings) if field.name not in switched]
    changed = (name for field in names for name in _changed(field, getattr(running, field), getattr(settings, field)))
    return [f"{name} is another one than that which runs; it takes a restart" for name in changed]


def _changed(name: str, was: object, is_now: object) -> list[str]:
    """The dotted names of what differs."""
    if was == is_now:
        return []
    if isinstance(was, BaseModel) and isinstance(is_now, BaseModel):
        pairs = ((part, getattr(was, part), getattr(is_now, part)) for part in type(was).model_fields)
        return [found for part, before, now in pairs for found in _changed(f"{name}.{part}", before, now)]
    return [name]
