"""What each EMR can do, as Markdown: the digest in README.md and the complete tables in docs/emrs/README.md.

Made of what the plugins declare by the very functions that answer `GET /api/emrs`, so that it can't lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from gateway.domain.capabilities import Capabilities, Support
from gateway.domain.editions import Edition
from gateway.port import Vendor
from gateway.wire import abilities, answers, cells, tested

BEGIN, END = "<!-- support:begin ", "<!-- support:end -->"
"""Between a line that begins with the one and the other stands a table that is generated."""
SIGNS = {Support.NATIVE: "●", Support.EMULATED: "◐", Support.UNSUPPORTED: "○"}
NOTHING = "–"

_FIELDS = {operation: tuple(fields) for operation, fields in cells(abilities(Capabilities())).items()}
"""The fields of each operation; one that has none has a field without a name."""
_Told = tuple[Edition, answers.Capabilities]
"""An edition, and what `GET /api/emrs` tells of an account that lacks nothing of it."""


def _told(vendor: Vendor) -> list[_Told]:
    return [(edition, abilities(edition.capabilities)) for edition in vendor.comes_in]


# -- the digest -------------------------------------------------------------------------------------------------------


def digest(vendors: Iterable[Vendor]) -> str:
    """A sign for each field of each operation; editions of one EMR that are alike in all of them share a row."""
    signs = ", ".join(f"{sign} {support}" for support, sign in SIGNS.items())
    head = ["EMR", "edition", *map(_words, _FIELDS), "tested"]
    fields = (" ".join(f"`{field}`" for field in fields if field) for fields in _FIELDS.values())
    rows = [row for vendor in vendors for row in _rows(vendor)]
    table = _table(head, [["", "", *fields, ""], *rows])
    return f"{signs}: one for each field, in the order of the first row.\n\n{table}"


def _rows(vendor: Vendor) -> Iterator[list[str]]:
    alike: dict[tuple[str, ...], list[Edition]] = {}
    for edition, can in _told(vendor):
        signs = ("".join(SIGNS[support] for support in fields.values()) for fields in cells(can).values())
        alike.setdefault((*signs, how(edition, can)), []).append(edition)
    for row, editions in alike.items():
        yield [f"{vendor.name} (`{vendor.key}`)", _named(editions), *row]


def _named(editions: Sequence[Edition]) -> str:
    """One with its title; of several the names."""
    if len(editions) == 1:
        return f"`{editions[0].name}`: {editions[0].title}"
    return ", ".join(f"`{edition.name}`" for edition in editions)


def how(edition: Edition, can: answers.Capabilities) -> str:
    """How it was tested, which operations were so in another way, and against what."""
    others = [
        f"{_words(name)}: {way}" for name, way in _ways(edition, can).items() if way not in (None, edition.tested)
    ]
    words = f"{edition.tested} ({', '.join(others)})" if others else edition.tested
    return f"{words}: {edition.against}" if edition.against else words


def _ways(edition: Edition, can: answers.Capabilities) -> Mapping[str, str | None]:
    return tested(edition, can).model_dump(exclude={"against"})


# -- the complete tables ----------------------------------------------------------------------------------------------


def complete(vendors: Iterable[Vendor]) -> str:
    """For each EMR a column for each edition, a row for each field, and what else is told."""
    return "\n\n".join(map(_section, vendors))


def _section(vendor: Vendor) -> str:
    told = _told(vendor)
    titles = [f"- `{edition.name}`: {edition.title}. Tested {how(edition, can)}." for edition, can in told]
    head = ["", *(f"`{edition.name}`" for edition, _ in told)]
    rows = [row for operation in _FIELDS for row in _operation(operation, told)]
    return "\n".join([f"## {vendor.name} (`{vendor.key}`)", "", *titles, "", _table(head, [*rows, *_facts(told)])])


def _operation(operation: str, told: Sequence[_Told]) -> Iterator[list[str]]:
    """How it was tested, and a row for each of its fields."""
    signs = {field: [SIGNS[cells(can)[operation][field]] for _, can in told] for field in _FIELDS[operation]}
    ways = [_ways(edition, can).get(operation) or "" for edition, can in told]
    alone = signs.pop("", [""] * len(told))
    yield [f"**{_words(operation)}**", *(f"{sign} {way}".strip() for sign, way in zip(alone, ways, strict=True))]
    for field, row in signs.items():
        yield [f"`{field}`", *row]


def _facts(told: Sequence[_Told]) -> Iterator[list[str]]:
    yield ["**facts**", *("" for _ in told)]
    for name in answers.Facts.model_fields:
        yield [f"`{name}`", *(_shown(getattr(can.facts, name)) for _, can in told)]


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NOTHING
    return NOTHING if value is None else str(value)


# -- Markdown ---------------------------------------------------------------------------------------------------------


def _words(name: str) -> str:
    return name.replace("_", " ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: Mapping[str, Callable[[Iterable[Vendor]], str]] = {"digest": digest, "complete": complete}
"""By what `python -m gateway emrs --table` calls them."""
