"""The printed SQL is executed in real engines: tables contain what messages contain, and only the newest of it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import Any

import pytest

from collector.commands.arguments import Engine
from collector.commands.sql_types import table
from collector.schemas import event_types, json_schema
from tests.contracts.examples import examples
from tests.contracts.fields import fields, types_of
from tests.sql.engines import ClickHouse, Database, DuckDb, Value
from tests.sql.varied import equal_values, values

each_type = pytest.mark.parametrize("name", event_types())


def as_stored(name: str, value: Value, database: Database) -> dict[str, Any]:
    """The row that is expected for a value. The comments of the columns in ClickHouse describe the differences."""
    if not isinstance(database, ClickHouse):
        return dict(value)
    columns = {each.name: each for each in table(event_types()[name], Engine.CLICKHOUSE).columns}
    return {field: _in_clickhouse(columns[field].type, field, content) for field, content in value.items()}


def _in_clickhouse(kind: str, field: str, content: Any) -> Any:  # noqa: ANN401 - JSON
    if field.endswith("_local") and content is not None:
        return f"{content}.000Z"
    if content is None and kind.startswith("Array("):
        return []
    if content is None and kind.startswith("Tuple("):
        return dict.fromkeys((each.split(" ")[0] for each in kind.removeprefix("Tuple(").split(", ")), None)
    return content


def by_id(rows: Iterable[Value]) -> list[Value]:
    return sorted(rows, key=lambda row: str(row["event_id"]))


@each_type
def test_a_table_contains_every_value_of_every_message_once(name: str, database: Database) -> None:
    event_type = event_types()[name]
    sent = [*values(event_type, 150), json.loads(examples()[name].value)]

    database.load(event_type, [*sent, *sent[:50]])
    database.load(event_type, sent[100:])

    got = database.rows(f"SELECT * FROM {database.newest(event_type)}")  # noqa: S608 - names of types
    assert by_id(as_stored(name, each, database) for each in sent) == by_id(got)


DERIVED_ROWS = 30_000
"""More rows than DuckDB reads to derive types."""


def numbers(name: str, kinds: set[str]) -> Iterator[str]:
    """The fields of these types, also those of objects in them."""
    for path, part in fields(json_schema(event_types()[name])):
        if types_of(part) & kinds and "[]" not in path:
            yield path


def value_at(path: str, value: Value) -> Any:  # noqa: ANN401 - JSON
    first, _, rest = path.partition(".")
    return value_at(rest, value[first]) if rest and value[first] is not None else value[first]


@pytest.mark.parametrize("number", [None, 2.0], ids=["null", "whole"])
@pytest.mark.parametrize("name", [name for name in event_types() if any(numbers(name, {"number"}))])
def test_sums_are_right_where_fractions_follow_many_other_rows(
    name: str, number: float | None, database: Database
) -> None:
    event_type = event_types()[name]
    before = DERIVED_ROWS if isinstance(database, DuckDb) else 1000  # elsewhere, types come before rows
    sent = [*equal_values(event_type, before, number), *values(event_type, 200)]
    truth: dict[str, Any] = {"row_count": len(sent)}
    columns, number_of = ["count(*) AS row_count"], database.number
    for index, path in enumerate(numbers(name, {"number", "integer"})):
        known = [found for each in sent if (found := value_at(path, each)) is not None]
        truth |= {f"sum_{index}": sum(known), f"count_{index}": len(known)}
        columns += [f"sum({number_of(path)}) AS sum_{index}", f"count({number_of(path)}) AS count_{index}"]

    database.load(event_type, sent)

    query = f"SELECT {', '.join(columns)} FROM {database.newest(event_type)}"  # noqa: S608 - names of types
    assert [truth] == database.rows(query)


def revisions(name: str) -> Sequence[Value]:
    """Three revisions of each record, in random order."""
    first = list(values(event_types()[name], 80))
    found = [
        each | {"revision": revision, "event_id": f"{each['event_id']}/{revision}"}
        for each in first
        for revision in range(3)
    ]
    Random(1).shuffle(found)
    return found


with_revisions = [name for name, each in event_types().items() if "revision" in each.data.__struct_fields__]


@pytest.mark.parametrize("name", with_revisions)
def test_the_newest_revision_stays_in_whatever_order_they_come(name: str, database: Database) -> None:
    event_type, sent = event_types()[name], revisions(name)

    for first in range(0, len(sent), 80):  # several revisions of a record are in one load, and in several
        database.load(event_type, sent[first : first + 80])

    got = database.rows(f"SELECT * FROM {database.newest(event_type)}")  # noqa: S608 - names of types
    assert by_id(as_stored(name, each, database) for each in sent if each["revision"] == 2) == by_id(got)


def test_the_last_progress_of_a_stream_stays(database: Database) -> None:
    event_type = event_types()["collector.progress.v1"]
    (value,) = values(event_type, 1)
    later = [{"event_id": f"id/{hour}", "committed_at": f"2026-11-24T{hour:02}:00:00.000Z"} for hour in (9, 11, 10)]

    for each in later:
        database.load(event_type, [value | each])

    (got,) = database.rows(f"SELECT * FROM {database.newest(event_type)}")  # noqa: S608 - names of types
    assert "id/11" == got["event_id"]


@each_type
def test_a_field_that_a_later_version_adds_is_ignored(name: str, database: Database) -> None:
    event_type = event_types()[name]
    (value,) = values(event_type, 1)

    database.load(event_type, [value | {"added_later": {"x": [1, None]}}])

    (got,) = database.rows(f"SELECT * FROM {database.newest(event_type)}")  # noqa: S608 - names of types
    assert as_stored(name, value, database) == got
