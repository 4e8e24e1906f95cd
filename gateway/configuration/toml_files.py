"""Reading configuration files so that every mistake is found at once and said in a sentence without its value."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

M = TypeVar("M", bound=BaseModel)

_reading: ContextVar[dict[Path, bytes | None] | None] = ContextVar("reading", default=None)


class ConfigError(Exception):
    """The configuration can't be used; `args` are all its mistakes, a sentence each, free of secrets."""

    def __str__(self) -> str:
        return "\n".join(self.args)


@contextmanager
def remembered() -> Iterator[Mapping[Path, bytes | None]]:
    """What is read inside, by `read_text`, as it was found, in that order; `None`: it could not be read."""
    read: dict[Path, bytes | None] = {}
    token = _reading.set(read)
    try:
        yield read
    finally:
        _reading.reset(token)


def read_text(path: Path) -> str:
    """The text of a file that the configuration consists of. Raises OSError, UnicodeDecodeError."""
    read = _reading.get()
    if read is not None:
        read[path] = None
    found = path.read_bytes()
    if read is not None:
        read[path] = found
    # As in a file that is opened as text: a line ends alike, however it ends.
    return found.decode().replace("\r\n", "\n").replace("\r", "\n")


def read_toml(path: Path, advice: str, found: list[str]) -> dict[str, Any]:
    """A file's table; an empty one, with a sentence in `found`, where it can't be read."""
    try:
        return tomllib.loads(read_text(path))
    except FileNotFoundError:
        found.append(f"{path}: there is no such file; {advice}")
    except tomllib.TOMLDecodeError as error:
        found.append(f"{path}: is not TOML: {error}")
    except (OSError, UnicodeDecodeError) as error:
        found.append(f"{path}: can't be read ({type(error).__name__}); {advice}")
    return {}


def checked(model: type[M], given: Mapping[str, Any], place: str, found: list[str]) -> M | None:
    """`given` as a model, what is wrong left at its default; `None` where that is not possible.

    Every mistake becomes a sentence in `found`.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    found.extend(mistakes(details, place, model))
    wrong = {detail["loc"][0] for detail in details if detail["loc"]}
    try:
        return model.model_validate({name: value for name, value in given.items() if name not in wrong})
    except ValidationError:
        return None


def mistakes(details: Sequence[ErrorDetails], place: str, model: type[BaseModel]) -> list[str]:
    """What pydantic found, a sentence each, without the values that it found."""
    return [f"{place}: {dotted(detail['loc'])}{_sentence(detail, model)}" for detail in details]


def unknown(name: str, known: Sequence[str]) -> str:
    """The sentence's end on a name that means nothing here."""
    near = get_close_matches(name, known, n=1)
    return f"is not known here; did you mean {near[0]}?" if near else "is not known here; remove it"


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    match detail["type"]:
        case "missing":
            return "is missing; give it a value"
        case "extra_forbidden":
            return unknown(str(detail["loc"][-1]), _names(model, detail["loc"][:-1]))
        case "value_error":
            return str(detail["ctx"]["error"])
        case _:
            return detail["msg"].replace("Input should", "should").replace("String should", "should")


def _names(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """The field names that are known at a place in nested models."""
    for part in place:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return list(model.model_fields)


def dotted(location: Sequence[int | str]) -> str:
    """A place in a file's tables, with a space after it; nothing for the whole."""
    return ".".join(str(part) for part in location) + " " if location else ""
