"""What a plugin says of itself, held against what it is: one sentence for each thing that does not fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from gateway.domain.capabilities import Capabilities
from gateway.domain.editions import Edition, Operation, Tested, beyond
from gateway.port import PLUGIN_API, Emr, Vendor

KEY = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
"""A slug: it stands in addresses and in configuration files."""


def _changes(can: Capabilities) -> bool:
    return can.comment or "in_place" in (can.move, can.reassign) or "new_id" in (can.move, can.reassign)


_METHODS: tuple[tuple[str, Callable[[Capabilities], bool], tuple[str, ...]], ...] = (
    ("lists", lambda can: can.lists, ("calendar",)),
    ("free_time", lambda can: can.free_time != "none", ("free_time",)),
    ("directories", lambda can: bool(can.directories), ("directory", "look_up")),
    ("move, reassign or comment", _changes, ("change",)),
    ("create", lambda can: can.create, ("create",)),
    ("discard", lambda can: can.discard, ("discard",)),
    ("cancel", lambda can: can.cancel, ("cancel",)),
    ("confirm", lambda can: can.confirm != "none", ("confirm",)),
    ("slot_records", lambda can: can.slot_records, ("mark_slot",)),
    ("bundle_max", lambda can: can.bundle_max > 0, ("bundle",)),
)
"""Which capability stands for which method(s) of the port; one of several is enough."""


def mistakes_of(plugin: str, vendor: object) -> Iterator[str]:
    """Sentences on a plugin's introduction, each naming the plugin; none when it can be used."""
    if not isinstance(vendor, Vendor):
        yield f"plugin {plugin}: emr_vendor gives {_kind(vendor)}, it must give one Vendor"
        return
    if vendor.api != PLUGIN_API:
        yield (
            f"plugin {plugin} speaks plugin API {vendor.api!r}, this gateway speaks {PLUGIN_API}: "
            "install a version of either that fits the other"
        )
        return
    shape = [f"plugin {plugin}: {mistake}" for mistake in _shape(plugin, vendor)]
    yield from shape or (f"plugin {plugin}: {mistake}" for mistake in _promises(vendor))


def _shape(plugin: str, vendor: Any) -> Iterator[str]:
    if not isinstance(vendor.key, str) or not KEY.fullmatch(vendor.key):
        yield "its key must be a slug of a-z, 0-9, - and _"
    elif vendor.key != plugin:
        yield f"its key is {vendor.key!r}, it must be the entry point's name"
    if not isinstance(vendor.name, str) or not vendor.name:
        yield "its name must be a text"
    if not _is_subclass(vendor.settings, BaseModel):
        yield f"its settings are {_kind(vendor.settings)}, they must be a pydantic model (the class)"
    if not _is_subclass(vendor.emr, Emr):
        yield f"its emr is {_kind(vendor.emr)}, it must be a subclass of Emr"
    if not isinstance(vendor.capabilities, Capabilities):
        yield f"its capabilities are {_kind(vendor.capabilities)}, they must be Capabilities"
    if vendor.embedded is not None and not callable(vendor.embedded):
        yield "its embedded must be a function that makes an ASGI app, or None"
    if vendor.consent is not None and not callable(vendor.consent):
        yield "its consent must be a function of its settings, or None"
    yield from _shape_of_editions(vendor.editions)


def _shape_of_editions(editions: Any) -> Iterator[str]:
    if not isinstance(editions, tuple) or not all(isinstance(edition, Edition) for edition in editions):
        yield f"its editions are {_kind(editions)}, they must be a tuple of Edition"
        return
    names = Counter(edition.name for edition in editions if isinstance(edition.name, str))
    yield from (f"it has {count} editions called {name}" for name, count in names.items() if count > 1)
    for edition in editions:
        yield from (f"its edition {edition.name!r}: {mistake}" for mistake in _shape_of_edition(edition))


def _shape_of_edition(edition: Any) -> Iterator[str]:
    if not isinstance(edition.name, str) or not KEY.fullmatch(edition.name):
        yield "its name must be a slug of a-z, 0-9, - and _"
    if not isinstance(edition.title, str) or not edition.title:
        yield "its title must be a text"
    if not isinstance(edition.capabilities, Capabilities):
        yield f"its capabilities are {_kind(edition.capabilities)}, they must be Capabilities"
    if not isinstance(edition.against, str):
        yield "against what it was tested must be a text"
    otherwise = edition.otherwise if isinstance(edition.otherwise, Mapping) else {None: None}
    ways = [edition.tested, *otherwise.values()]
    if any(way not in get_args(Tested) for way in ways) or any(name not in get_args(Operation) for name in otherwise):
        yield f"each of {', '.join(get_args(Operation))} is tested in one way: {', '.join(get_args(Tested))}"
    if "live" in ways and not edition.against:
        yield "what is tested live must say against which server"


def _promises(vendor: Vendor) -> Iterator[str]:
    name = vendor.emr.__name__
    if not _overrides(vendor.emr, "appointment", "appointments"):
        yield f"{name} does not implement appointment, without which nothing can be read"
    for capability, declared, methods in _METHODS:
        implemented = _overrides(vendor.emr, *methods)
        what = " or ".join(methods)
        if declared(vendor.capabilities) and not implemented:
            yield f"it declares {capability}, but {name} does not implement {what}"
        # An entry may well be looked up by an EMR that lists none.
        if not declared(vendor.capabilities) and _overrides(vendor.emr, methods[0]):
            yield f"{name} implements {methods[0]}, but its capabilities do not declare {capability}"
    yield from _promises_of_editions(vendor)


def _promises_of_editions(vendor: Vendor) -> Iterator[str]:
    most = vendor.capabilities
    for edition in vendor.comes_in:
        can = edition.capabilities
        for more in beyond(can, most):
            yield f"its edition {edition.name} claims more than its capabilities declare: {more}"
        if can.slot_records and can.free_time == "none":
            yield f"its edition {edition.name} declares slot_records, which are found by the free time that is told"
    lacking = (set(beyond(most, edition.capabilities)) for edition in vendor.comes_in)
    for unclaimed in sorted(set.intersection(*lacking)):
        yield f"it declares {unclaimed}, which none of its editions can do"


def _overrides(emr: type[Emr], *methods: str) -> bool:
    return any(getattr(emr, method) is not getattr(Emr, method) for method in methods)


def _is_subclass(thing: object, base: type) -> bool:
    return isinstance(thing, type) and issubclass(thing, base)


def _kind(thing: object) -> str:
    """What it is, without showing it."""
    if isinstance(thing, type):
        return f"the class {thing.__name__}"
    return "nothing" if thing is None else f"a value of type {type(thing).__name__}"
