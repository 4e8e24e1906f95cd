"""A plugin's settings, held against what is written for it: every mistake is a sentence, and none shows a value."""

from __future__ import annotations

import secrets
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gateway.configuration.clients_file import OF_ACCOUNTS, WRITTEN_OUT, AccountSettings
from gateway.configuration.references import is_reference, stored_in, with_stored
from gateway.configuration.toml_files import ConfigError, dotted, mistakes

REFUSED = "has something that the plugin refuses"


def secrets_in(value: object) -> Iterator[str | bytes]:
    """What a plugin's validated settings hold of them."""
    if isinstance(value, (SecretStr, SecretBytes)):
        yield value.get_secret_value()
    elif isinstance(value, (BaseModel, Mapping)):
        for _, inner in value.items() if isinstance(value, Mapping) else value:
            yield from secrets_in(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from secrets_in(inner)


def validated(account: AccountSettings, model: type[BaseModel]) -> BaseModel:
    """The plugin's settings. Raises ConfigError; no sentence shows a value."""
    found = [] if account.plain_allowed else [_plain(account, name) for name in plain_secrets(model, account.given)]
    settings, details = _tried(account, model, account.values)
    found += [_mistake(account, detail, model) for detail in details]
    if found or settings is None:
        raise ConfigError(*found)
    return settings


def mistakes_without_stored(account: AccountSettings, model: type[BaseModel]) -> list[str]:
    """What is wrong with the plugin's settings whatever the credentials are that are in the gateway's own store."""
    found = [] if account.plain_allowed else [_plain(account, name) for name in plain_secrets(model, account.given)]
    stand_ins = {str(name): secrets.token_urlsafe(32) for name in stored_in(account.values)}
    _, details = _tried(account, model, with_stored(account.values, stand_ins))
    # What is wrong with the whole may be wrong with a stand-in.
    known = (detail for detail in details if detail["loc"] and not any(stored_in(_at(account.values, detail["loc"]))))
    return found + [_mistake(account, detail, model) for detail in known]


def provisional(account: AccountSettings, model: type[BaseModel]) -> BaseModel | None:
    """The plugin's settings with something in the places of stored credentials; `None`: they can't be made so."""
    stand_ins = {str(name): secrets.token_urlsafe(32) for name in stored_in(account.values)}
    try:
        return _tried(account, model, with_stored(account.values, stand_ins))[0]
    except ConfigError:
        return None


def _tried(
    account: AccountSettings, model: type[BaseModel], values: Mapping[str, Any]
) -> tuple[BaseModel | None, list[ErrorDetails]]:
    try:
        # A misspelt setting that is passed over would leave its default in force.
        open_ended = model.model_config.get("extra") == "allow"
        return model.model_validate(values, extra=None if open_ended else "forbid"), []
    except ValidationError as error:
        return None, error.errors(include_url=False, include_input=False)
    # A validator is the plugin's own code, and may raise anything.
    except Exception as error:  # noqa: BLE001
        raise ConfigError(f"{account.place}.settings: plugin {account.plugin} raises {type(error).__name__}") from None


def _at(value: object, location: Sequence[int | str]) -> object:
    """What stands at a place, as far as there is one."""
    for part in location:
        if isinstance(value, Mapping):
            value = value.get(part, value)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
    return value


def _plain(account: AccountSettings, name: str) -> str:
    return f"{account.place}.settings.{name} {WRITTEN_OUT}"


def _mistake(account: AccountSettings, detail: ErrorDetails, model: type[BaseModel]) -> str:
    place, where = f"{account.place}.settings", dotted(detail["loc"])
    if detail["type"] == "extra_forbidden" and detail["loc"][0] in OF_ACCOUNTS:
        return f"{place}: {where}is a setting of the account itself; put it beside plugin"
    said = mistakes([detail], "", model)[0]
    return f"{place}: {where}{REFUSED}" if quotes(said, account) else place + said


def quotes(said: str, account: AccountSettings) -> bool:
    """What a plugin's own code says is passed on only if it quotes no value."""
    return any(text in said for text in _texts(account.values) if len(text) > 3)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def plain_secrets(annotation: Any, given: object, name: str = "") -> Iterator[str]:
    """The dotted names of secrets in `given` that are written out instead of being referred to."""
    if _is_a(annotation, SecretStr, SecretBytes):
        if isinstance(given, str) and not is_reference(given):
            yield name
    elif _is_a(annotation, BaseModel):
        yield from _in_model(annotation, given, name)
    elif get_origin(annotation) in (Union, types.UnionType):
        yield from {found for kind in get_args(annotation) for found in plain_secrets(kind, given, name)}
    elif isinstance(given, Mapping) and get_args(annotation):
        for key, value in given.items():
            yield from plain_secrets(get_args(annotation)[-1], value, _joined(name, key))
    elif isinstance(given, list):
        for index, value in enumerate(given):
            for kind in get_args(annotation)[:1]:
                yield from plain_secrets(kind, value, _joined(name, index))


def _in_model(model: type[BaseModel], given: object, name: str) -> Iterator[str]:
    if not isinstance(given, Mapping):
        return
    for field_name, told in model.model_fields.items():
        for known in {field_name, told.alias or field_name} & set(given):
            yield from plain_secrets(told.annotation, given[known], _joined(name, known))


def _joined(name: str, part: object) -> str:
    return f"{name}.{part}" if name else str(part)


def _is_a(annotation: Any, *bases: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, bases)
