"""The printed SQL is executed in DuckDB and ClickHouse: tables contain what the messages contain, and the newest of it."""

import json
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

import pytest

from collector.commands.arguments import Engine
from collector.commands.schema import event_types, json_schema
from collector.commands.sql_types import table
from tests.contracts.examples import examples
from tests.contracts.fields import types_of
from tests.sql.engines import ClickHouse, Database, Value
from tests.sql.varied import values

each_type = pytest.mark.parametrize("name", event_types())


def as_stored(name: str, value: Value, database: Database) -> dict[str, Any]:
    """The row that is expected for a value. The comments of the columns in ClickHouse describe the differences."""
    if not isinstance(database, ClickHouse):
        return dict(value)
    columns = {each.name: each for each in table(event_types()[name], Engine.CLICKHOUSE).columns}
    return {field: _in_clickhouse(columns[field].type, field, content) for field, content in value.items()}


def _in_clickhouse(kind: str, field: str, content: Any) -> Any:  # noqa: ANN401 - JSON
    if field.endswith("_local"):
        return f"{content}.000Z"
    if content is None and kind.startswith("Array("):
        return []
    if content is None and kind.startswith("Tuple("):
        return dict.fromkeys((each.split(" ")[0] for each in kind.removeprefix("Tuple(").split(", ")), None)
    return content


def by_id(rows: Iterable[Value]) -> list[Value]:
    return sorted(rows, key=lambda row: str(row["event_id"]))


@each_type
def test_a_table_contains_every_value_of_every_message(name: str, database: Database) -> None:
    event_type = event_types()[name]
    sent = [*values(event_type, 2000), json.loads(examples()[name].value)]

    database.load(event_type, sent)

    got = database.rows(f"SELECT * FROM {database.newest(event_type)}")  # noqa: S608 - names of types
    assert by_id(as_stored(name, each, database) for each in sent) == by_id(got)


PLAIN = 30_000
"""More rows than engines read to derive types, all with null or whole numbers."""


def numbers(name: str) -> Iterator[str]:
    """The fields of a type that can be added up."""
    for field, part in json_schema(event_types()[name])["properties"].items():
        if types_of(part) & {"number", "integer"}:
            yield field


with_numbers = [name for name in event_types() if any(numbers(name))]


@pytest.mark.parametrize("name", with_numbers)
def test_sums_are_right_where_fractions_follow_many_nulls_or_whole_numbers(name: str, database: Database) -> None:
    event_type = event_types()[name]
    sent = list(values(event_type, PLAIN + 1000, plain=PLAIN))
    truth: dict[str, Any] = {"rows": len(sent)}
    for field in numbers(name):
        known = [each[field] for each in sent if each[field] is not None]
        truth |= {f"sum_of_{field}": sum(known) if known else None, f"count_of_{field}": len(known)}

    database.load(event_type, sent)

    columns = (f"sum({field}) AS sum_of_{field}, count({field}) AS count_of_{field}" for field in numbers(name))
    query = f"SELECT count(*) AS rows, {', '.join(columns)} FROM {database.newest(event_type)}"  # noqa: S608 - see above
    (got,) = database.rows(query)
    assert truth == got


def revisions(name: str) -> list[Value]:
    """Three revisions of each record, in random order."""
    first = list(values(event_types()[name], 200))
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

    for first in range(0, len(sent), 100):  # several revisions of a record are in one load, and in several
        database.load(event_type, sent[first : first + 100])

    got = database.rows(f"SELECT * FROM {database.newest(event_type)}")  # noqa: S608 - names of types
    assert by_id(as_stored(name, each, database) for each in sent if each["revision"] == 2) == by_id(got)


@each_type
def test_loading_again_changes_nothing(name: str, database: Database) -> None:
    event_type = event_types()[name]
    sent = list(values(event_type, 50))

    database.load(event_type, [*sent, *sent])
    database.load(event_type, sent)

    got = database.rows(f"SELECT * FROM {database.newest(event_type)}")  # noqa: S608 - names of types
    assert by_id(as_stored(name, each, database) for each in sent) == by_id(got)


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
