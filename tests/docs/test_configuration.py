"""docs/configuration.md has every key and no other, and says of each what the code does: its kind, bounds, default.

The page is written by hand, so that it can compare and advise where the models only define; whatever of it the code
knows too is read out of its tables here, and tried.
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
from collector.vendors import AnySource
from tests.docs.pages import DOCS, Table, spans, tables

PAGE = (DOCS / "configuration.md").read_text("utf-8")
ANY = "*"
ELSEWHERE = ("by vendor", "by stream")
"""The default stands in a table of its own."""
Place = tuple[str, ...]
"""A table of the configuration: `("kafka", "tls")`, `("sources", "quividi", "streams", "viewers")`."""

SAMPLES: Mapping[str, tuple[object, object]] = {
    "text": ("x", 1),
    "name": ("a-b.c_1", "a b"),
    "path": ("/etc/ca.pem", 1),
    "secret": ({"env": "NAME"}, {"environment": "NAME"}),
    "true or false": (True, 1),
    "number": (5000, "5000"),
    "numbers": ([1, 2], ["1"]),
    "texts": (["devices"], [1]),
    "duration": ("1d", "1w"),
    "moment": (datetime(2026, 11, 1, tzinfo=UTC), date(2026, 11, 1)),
    "day": (date(2018, 1, 2), "2018-01-02"),
    "address": ("0.0.0.0:9464", "9464"),
    "URL": ("https://localhost/api", "localhost/api"),
    "zone": ("Asia/Tokyo", "Tokyo"),
}
"""By kind: something that is one, and something that is none."""


class Row(Struct, frozen=True):
    """What the page says of a key of some tables."""

    places: Place
    key: str
    value: str
    default: str

    def is_of(self, place: Place) -> bool:
        return len(place) == len(self.places) and all(
            mine in (ANY, theirs) for mine, theirs in zip(self.places, place, strict=True)
        )


def models(model: type[BaseModel] = Settings, place: Place = ()) -> Iterator[tuple[Place, type[BaseModel]]]:
    """Every table that a configuration may have."""
    if place:
        yield place, model
    for name, field in model.model_fields.items():
        if name == "sources":
            for source in get_args(get_args(AnySource)[0]):
                (vendor,) = get_args(source.model_fields["vendor"].annotation)
                yield from models(source, ("sources", vendor))
        elif (inner := table_in(field.annotation)) is not None:
            yield from models(inner, (*place, name))


def table_in(annotation: object) -> type[BaseModel] | None:
    """The model, where the key is a table. A secret may be written as one, and is none."""
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return next((found for each in get_args(annotation) if (found := table_in(each)) is not None), None)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation is not Secret:
        return annotation
    return None


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
                named = dict(zip(table.header, cells, strict=True))
                for place in _places(table, named.get("stream")):
                    yield Row(place, spans(named["key"])[0], named["value"], named["default"])


def elsewhere() -> Iterator[Row]:
    """The tables that compare defaults, each a column, of vendors or streams."""
    for table in tables(PAGE):
        if table.header[0] in ("vendor", "stream"):
            for cells in table.rows:
                for key, default in zip(table.header[1:], cells[1:], strict=True):
                    for name in spans(cells[0]):
                        place = ("sources", name) if table.header[0] == "vendor" else _stream(cells[0], name)
                        yield Row(place, spans(key)[0], "", default)


def _places(table: Table, streams: str | None) -> list[Place]:
    if streams is not None:
        return [_stream(streams, name) for name in spans(streams)]
    path, *chosen = spans(table.heading)
    vendor = chosen[0].split('"')[1] if chosen else ANY
    parts = [{"<name>": vendor, "<stream>": ANY}.get(part, part) for part in path.strip("[]").split(".")]
    return [tuple(parts)]


def _stream(cell: str, name: str) -> Place:
    return ("sources", cell.partition(" ")[0].lower(), "streams", name)


ROWS, ELSEWHERE_ROWS = list(rows()), list(elsewhere())
each_key = pytest.mark.parametrize(("place", "key"), KEYS, ids=[".".join((*place, key)) for place, key in KEYS])
each_row = pytest.mark.parametrize("row", [*ROWS, *ELSEWHERE_ROWS], ids=lambda row: ".".join((*row.places, row.key)))


def told(place: Place, key: str) -> Row:
    found = [row for row in ROWS if row.key == key and row.is_of(place)]
    assert 1 == len(found), (
        f"docs/configuration.md: expected one row for {key} in [{'.'.join(place)}], got {len(found)}"
    )
    return found[0]


def refusal(model: type[BaseModel], key: str, given: object) -> str | None:
    """What is said of the key when it has this value; None when nothing is."""
    try:
        model.model_validate({key: given})
    except ValidationError as error:
        return next((each["msg"] for each in error.errors() if each["loc"][:1] == (key,)), None)
    return None


@each_row
def test_what_is_documented_is_there(row: Row) -> None:
    has = [place for place, model in MODELS.items() if row.is_of(place) and row.key in model.model_fields]
    assert has or not row.default


@each_key
def test_a_default_is_what_the_page_says(place: Place, key: str) -> None:
    field, written = MODELS[place].model_fields[key], told(place, key).default
    if written in ELSEWHERE:
        defaults = [row.default for row in ELSEWHERE_ROWS if row.key == key and row.is_of(place)]
        assert 1 == len(defaults), f"docs/configuration.md: expected one default of {key} for {'.'.join(place)}"
        [written] = defaults

    if field.is_required():
        assert "required" == written
    elif field.default is None:
        assert "none" == written
    else:
        value = tomllib.loads(f"value = {spans(written)[0]}")["value"]
        assert field.default == (parse_duration(value) if isinstance(field.default, timedelta) else value)


@each_key
def test_a_value_is_what_the_page_says(place: Place, key: str) -> None:
    model, value = MODELS[place], told(place, key).value
    if words := spans(value):
        refused = refusal(model, key, "no such word")
        assert refused is not None
        assert sorted(words) == sorted(re.findall(r"['\"]([^'\"]+)['\"]", refused))
        return
    kind, _, bounds = value.partition(", ")
    good, bad = SAMPLES[kind]
    assert refusal(model, key, bad) is not None
    min_end, most = _bounds(bounds)
    if min_end is None:
        assert refusal(model, key, good) is None
        return
    assert refusal(model, key, _of(kind, min_end)) is None
    assert refusal(model, key, _of(kind, min_end - 1)) is not None
    assert refusal(model, key, _of(kind, most or 99_999)) is None
    if most is not None:
        assert refusal(model, key, _of(kind, most + 1)) is not None


def _bounds(text: str) -> tuple[int | None, int | None]:
    """`1 to 9`, or `3s or more`, in seconds."""
    if not text:
        return None, None
    first, last = re.fullmatch(r"(\w+) (?:to (\w+)|or more)", text).groups()  # type: ignore[union-attr]
    return _number(first), _number(last) if last else None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else parse_duration(text) // timedelta(seconds=1)


def _of(kind: str, number: int) -> object:
    return f"{number}s" if kind == "duration" and number >= 0 else number
