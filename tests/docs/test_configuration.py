"""docs/configuration.md has every key once, and no other, with the type, bounds and default that the code has.

The page is written by hand. This test reads keys, values and defaults from its tables and tries them on the models. A
cell may name a group of streams in bold; a table of the page lists the streams of each group.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

import pytest
from msgspec import Struct
from pydantic import BaseModel, ValidationError

from collector.config import Settings
from collector.secrets import Secret
from collector.settings import parse_duration
from collector.vendors import VENDORS
from tests.docs.pages import DOCS, Table, spans, tables

PAGE = (DOCS / "configuration.md").read_text("utf-8")
ANY = "*"
_BOLD = re.compile(r"\*\*(.+?)\*\*")
GROUPS = {
    _BOLD.findall(row[0])[0]: spans(row[1])
    for table in tables(PAGE)
    if table.header[0] == "group"
    for row in table.rows
}
"""The streams of each group."""
Place = tuple[str, ...]
"""A table of the configuration: `("kafka", "tls")`, `("sources", "quividi", "streams", "viewers")`."""

SAMPLES: Mapping[str, tuple[object, object]] = {
    "string": ("x", 1),
    "name": ("a-b.c_1", "a b"),
    "path": ("/etc/ca.pem", 1),
    "pattern of paths": ("sources.d/*.toml", 1),
    "secret": ({"env": "NAME"}, {"environment": "NAME"}),
    "boolean": (True, 1),
    "integer": (5000, "5000"),
    "array of integers": ([1, 2], ["1"]),
    "array of integers or all": ("all", ["1"]),
    "array of strings": (["devices"], [1]),
    "table of strings": ({"lane": "3"}, {"lane": 3}),
    "duration": ("1d", "1w"),
    "timestamp": (datetime(2026, 11, 1, tzinfo=UTC), date(2026, 11, 1)),
    "date": (date(2018, 1, 2), "2018-01-02"),
    "address": ("0.0.0.0:9464", "9464"),
    "URL": ("https://localhost/api", "localhost/api"),
    "time zone": ("Asia/Tokyo", "Tokyo"),
}
"""By type: a valid and an invalid value."""


class Row(Struct, frozen=True):
    """A row of the page: one key, of all configuration tables that match `places`."""

    places: Place
    key: str
    value: str
    default: str

    def is_of(self, place: Place) -> bool:
        return len(place) == len(self.places) and all(
            pattern in (ANY, name) for pattern, name in zip(self.places, place, strict=True)
        )


def models(model: type[BaseModel] = Settings, place: Place = ()) -> Iterator[tuple[Place, type[BaseModel]]]:
    """Yield every table that a configuration may have, with its model."""
    yield place, model
    for name, field in model.model_fields.items():
        if name == "sources":
            for vendor in VENDORS.values():
                yield from models(vendor.settings, ("sources", vendor.name))
        elif (inner := table_in(field.annotation)) is not None:
            names = (name, "<stream>") if has_names(field.annotation) else (name,)
            yield from models(inner, (*place, *names))


def table_in(annotation: object) -> type[BaseModel] | None:
    """The model of a key that is a table, or has several; else None. A secret may be a table, but is a value."""
    if get_origin(annotation) in (Union, UnionType, Annotated, tuple, dict):
        return next((found for each in get_args(annotation) if (found := table_in(each)) is not None), None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation is not Secret:
        return annotation
    return None


def has_names(annotation: object) -> bool:
    """Whether the tables of a key have names that an operator chooses."""
    return any(get_origin(each) is dict for each in (annotation, *get_args(annotation)))


MODELS = dict(models())
KEYS = [
    (place, key)
    for place, model in MODELS.items()
    for key, field in model.model_fields.items()
    if table_in(field.annotation) is None
]


def rows() -> Iterator[Row]:
    for table in tables(PAGE):
        if "value" in table.header and "key" in table.header:
            for cells in table.rows:
                columns = dict(zip(table.header, cells, strict=True))
                for place in _places(table, columns.get("stream")):
                    yield Row(place, spans(columns["key"])[0], columns["value"], columns["default"])


def compared() -> Iterator[Row]:
    """Yield the rows of the tables that compare the defaults of vendors or streams, with one column per key."""
    for table in tables(PAGE):
        if table.header[0] in ("vendor", "stream"):
            for cells in table.rows:
                names = named_streams(cells[0]) if table.header[0] == "stream" else spans(cells[0])
                for key, default in zip(table.header[1:], cells[1:], strict=True):
                    for name in names:
                        place = ("sources", name) if table.header[0] == "vendor" else _stream(cells[0], name)
                        yield Row(place, spans(key)[0], "", default)


def named_streams(cell: str) -> list[str]:
    """The names of streams in a cell, with those of the groups that it names."""
    return [*spans(cell), *(name for group in _BOLD.findall(cell) for name in GROUPS[group])]


def _places(table: Table, streams: str | None) -> list[Place]:
    if streams is not None:
        return [_stream(streams, name) for name in named_streams(streams)]
    path, *chosen = spans(table.heading) or [""]
    vendor = chosen[0].split('"')[1] if chosen else ANY
    parts = [{"<name>": vendor, "<stream>": ANY}.get(part, part) for part in path.strip("[]").split(".") if part]
    return [tuple(parts)]


def _stream(cell: str, name: str) -> Place:
    return ("sources", cell.partition(" ")[0].lower(), "streams", name)


ROWS, COMPARED = list(rows()), list(compared())
each_key = pytest.mark.parametrize(("place", "key"), KEYS, ids=[".".join((*place, key)) for place, key in KEYS])
each_row = pytest.mark.parametrize("row", [*ROWS, *COMPARED], ids=lambda row: ".".join((*row.places, row.key)))


def documented(place: Place, key: str) -> Row:
    found = [row for row in ROWS if row.key == key and row.is_of(place)]
    assert 1 == len(found), (
        f"docs/configuration.md: expected one row for {key} in [{'.'.join(place)}], got {len(found)}"
    )
    return found[0]


def validation_error(model: type[BaseModel], key: str, given: object) -> str | None:
    """Return the message for the key with this value; None if the value is valid."""
    try:
        model.model_validate({key: given})
    except ValidationError as error:
        return next((each["msg"] for each in error.errors() if each["loc"][:1] == (key,)), None)
    return None


def test_a_stream_is_in_one_group_at_most() -> None:
    names = [name for streams in GROUPS.values() for name in streams]
    assert len(names) == len(set(names))


@each_row
def test_a_documented_key_exists(row: Row) -> None:
    """An empty cell of a comparison means that the stream does not have the key."""
    exists = any(row.is_of(place) and row.key in model.model_fields for place, model in MODELS.items())
    assert exists == bool(row.default)


@each_key
def test_the_default_is_as_documented(place: Place, key: str) -> None:
    field, default = MODELS[place].model_fields[key], documented(place, key).default
    if default.startswith("by "):
        compared = [row.default for row in COMPARED if row.key == key and row.is_of(place)]
        assert 1 == len(compared), f"docs/configuration.md: expected one default of {key} in [{'.'.join(place)}]"
        [default] = compared

    if field.is_required():
        assert "required" == default
    elif field.default is None:
        assert "none" == default
    else:
        value = tomllib.loads(f"value = {spans(default)[0]}")["value"]
        assert field.default == (parse_duration(value) if isinstance(field.default, timedelta) else value)


@each_key
def test_valid_and_invalid_values_are_as_documented(place: Place, key: str) -> None:
    model, value = MODELS[place], documented(place, key).value
    if words := spans(value):
        refused = validation_error(model, key, "no such word")
        assert refused is not None
        assert sorted(words) == sorted(re.findall(r"['\"]([^'\"]+)['\"]", refused))
        return
    type_name, _, bounds = value.partition(", ")
    valid, invalid = SAMPLES[type_name]
    assert validation_error(model, key, invalid) is not None
    minimum, maximum = _bounds(bounds)
    if minimum is None:
        assert validation_error(model, key, valid) is None
        return
    assert validation_error(model, key, _sample(type_name, minimum)) is None
    assert validation_error(model, key, _sample(type_name, minimum - 1)) is not None
    assert validation_error(model, key, _sample(type_name, maximum or 99_999)) is None
    if maximum is not None:
        assert validation_error(model, key, _sample(type_name, maximum + 1)) is not None


def _bounds(text: str) -> tuple[int | None, int | None]:
    """Parse `1 to 9` or `3s or more`; durations in seconds."""
    if not text:
        return None, None
    first, last = re.fullmatch(r"(\w+) (?:to (\w+)|or more)", text).groups()  # type: ignore[union-attr]
    return _number(first), _number(last) if last else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else parse_duration(text) // timedelta(seconds=1)


def _sample(type_name: str, number: int) -> object:
    return f"{number}s" if type_name == "duration" and number >= 0 else number
