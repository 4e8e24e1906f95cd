"""Which plugins there are, and whether they keep the promises they make. Nobody else sees pluggy.

Plugins are entry points of the group `emr_gateway.v1`; the entry point's name is the plugin's key. Only those that are
asked for are imported, so that a broken one that nobody uses stops nothing.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from importlib import metadata
from types import ModuleType
from typing import Any

import pluggy

from gateway import hookspecs
from gateway.declared import KEY, mistakes_of
from gateway.domain.capabilities import Capabilities
from gateway.domain.editions import beyond
from gateway.port import Account, BadAccount, Emr, Vendor

_HOOKS = ("emr_vendor", "emr_open")


class PluginError(Exception):
    """A plugin can't be used. The text is one or more sentences that name it, one in each of `args`."""

    def __str__(self) -> str:
        return "; ".join(self.args)


class Registry:
    """The plugins that were asked for: `vendors` can be used, `broken` says of the others why not."""

    def __init__(self, points: Iterable[metadata.EntryPoint]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        points = tuple(points)
        self._points = {point.name: point for point in points}
        self._offers = Counter(point.name for point in points)
        self.vendors: dict[str, Vendor] = {}
        self.broken: dict[str, tuple[str, ...]] = {}

    @classmethod
    def load(
        cls, names: Collection[str] | None = None, points: Iterable[metadata.EntryPoint] | None = None
    ) -> Registry:
        """Load the plugins called `names`; `None`: all there are. Raises nothing: see `broken`."""
        registry = cls(metadata.entry_points(group=hookspecs.ENTRY_POINTS) if points is None else points)
        for name in sorted(registry._points if names is None else set(names)):
            try:
                registry.vendors[name] = registry._introduce(name)
            except PluginError as error:
                registry.broken[name] = error.args
        return registry

    @property
    def available(self) -> tuple[str, ...]:
        """The names of all plugins that are installed, loaded or not."""
        return tuple(sorted(self._points))

    def vendor(self, plugin: str) -> Vendor:
        """The vendor that a loaded plugin introduced. Raises PluginError."""
        if plugin not in self.vendors:
            raise PluginError(*self.broken.get(plugin, (f"plugin {plugin} was not loaded",)))
        return self.vendors[plugin]

    def open(self, account: Account, plugin: str) -> Emr:
        """Open an account by the one plugin that it is configured for. Raises PluginError or BadAccount."""
        vendor = self.vendor(plugin)
        emr = self._ask(plugin, "emr_open", account=account)
        if not isinstance(emr, vendor.emr):
            raise PluginError(f"plugin {plugin}: emr_open gives no {vendor.emr.__name__}")
        if not isinstance(getattr(emr, "capabilities", None), Capabilities):
            raise PluginError(f"plugin {plugin}: the account that emr_open gives has no capabilities")
        if not isinstance(getattr(emr, "tenant", None), str) or not emr.tenant:
            raise PluginError(f"plugin {plugin}: the account that emr_open gives names no tenant")
        edition = vendor.edition(getattr(emr, "edition", ""))
        if edition is None:
            raise PluginError(f"plugin {plugin}: the account that emr_open gives is of no edition of the plugin's")
        if more := ", ".join(beyond(emr.capabilities, edition.capabilities)):
            raise PluginError(f"plugin {plugin}: the account claims more than the edition {edition.name}: {more}")
        return emr

    def _introduce(self, name: str) -> Vendor:
        if name not in self._points:
            there = ", ".join(self.available) or "none"
            raise PluginError(f"plugin {name} is not installed; installed are: {there}")
        if self._offers[name] > 1:
            raise PluginError(f"plugin {name} is offered by {self._offers[name]} packages: uninstall all but one")
        if not KEY.fullmatch(name):
            raise PluginError(f"plugin {name}: its entry point's name must be a slug of a-z, 0-9, - and _")
        module = _imported(self._points[name])
        self._register(name, module)
        try:
            return self._checked(name)
        except PluginError:
            self._manager.unregister(name=name)
            raise

    def _register(self, name: str, module: ModuleType) -> None:
        implemented = _hooks_of(self._manager, module)
        if mistakes := tuple(_hook_mistakes(name, implemented)):
            raise PluginError(*mistakes)
        try:
            self._manager.register(module, name=name)
        except ValueError:
            raise PluginError(f"plugin {name} names a module that another plugin names, too") from None
        except pluggy.PluginValidationError as error:
            raise PluginError(f"plugin {name}: {_one_line(error)}") from None

    def _checked(self, name: str) -> Vendor:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            unknown = str(error).partition(" in plugin ")[0]
            raise PluginError(f"plugin {name} has an {unknown}: the hooks are {' and '.join(_HOOKS)}") from None
        vendor = self._ask(name, "emr_vendor")
        if mistakes := tuple(mistakes_of(name, vendor)):
            raise PluginError(*mistakes)
        assert isinstance(vendor, Vendor)
        return vendor

    def _ask(self, name: str, hook: str, **arguments: Any) -> object:
        """Call one plugin's hook: the others are left out, so that none can answer in its place."""
        manager = self._manager
        others = [plugin for other, plugin in manager.list_name_plugin() if other != name]
        try:
            results = manager.subset_hook_caller(hook, others)(**arguments)
        except BadAccount:
            raise
        # What else a plugin raises is not ours to know; its text could show the account's settings.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            raise PluginError(f"plugin {name}: {hook} raises {_what(error)}") from None
        return results[0] if results else None


def _imported(point: metadata.EntryPoint) -> ModuleType:
    try:
        module = point.load()
    # One broken third-party plugin must not stop the others, whatever it does when it is imported.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        raise PluginError(f"plugin {point.name} can't be imported ({point.value}): {_what(error)}") from None
    if not isinstance(module, ModuleType):
        raise PluginError(f"plugin {point.name}: its entry point must name a module ({point.value} is none)")
    return module


def _hooks_of(manager: pluggy.PluginManager, module: ModuleType) -> Mapping[str, object]:
    """The functions of a module that bear the hook marker, by the hook they implement."""
    found = {}
    for name in dir(module):
        options = manager.parse_hookimpl_opts(module, name)
        if options is not None:
            found[options.get("specname") or name] = getattr(module, name)
    return found


def _hook_mistakes(name: str, implemented: Mapping[str, object]) -> Iterable[str]:
    if not implemented:
        yield f"plugin {name} has no hook: mark emr_vendor and emr_open with gateway.plugin.hookimpl"
        return
    if set(implemented) & set(_HOOKS) and set(implemented) <= set(_HOOKS):
        yield from (
            f"plugin {name} has no hook {hook}: it needs both {' and '.join(_HOOKS)}"
            for hook in _HOOKS
            if hook not in implemented
        )
    for hook, function in implemented.items():
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            yield f"plugin {name}: {hook} is async; hooks are plain functions"
        elif inspect.isgeneratorfunction(function):
            yield f"plugin {name}: {hook} is a generator; hooks are plain functions that return"


def _what(error: BaseException) -> str:
    """What was raised; its text only where it is about the import itself and holds nobody's data."""
    name = type(error).__name__
    return f"{name} ({_one_line(error)})" if isinstance(error, ImportError | SyntaxError) else name


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
