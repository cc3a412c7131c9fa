"""The printed SQL has every column, with its comment, and is valid where no engine of the tests executes it.

sqlglot has no dialect for Flink. `test_flink.py` has Flink's own parser read the statements, where Java and Maven are.
"""

import re
from itertools import product

import pytest
import sqlglot
from sqlglot import exp

from collector.commands.arguments import Engine
from collector.commands.sql import sql
from collector.commands.sql_types import table
from collector.schemas import event_types, json_schema

each_table = pytest.mark.parametrize(("name", "engine"), list(product(event_types(), Engine)), ids=str)


@each_table
def test_a_table_has_every_field_of_the_schema_with_a_comment(name: str, engine: Engine) -> None:
    properties = json_schema(event_types()[name])["properties"]
    statements = sql(name, engine)

    made = table(event_types()[name], engine)

    assert list(properties) == [column.name for column in made.columns]
    definitions = statements[statements.index("CREATE TABLE") :]
    for column in made.columns:
        assert re.search(rf"^    `?{column.name}`? {re.escape(column.type)}", definitions, re.MULTILINE), column
        assert properties[column.name]["description"].replace("'", "''") in statements, column


@each_table
def test_columns_are_nullable_exactly_where_fields_may_be_null(name: str, engine: Engine) -> None:
    properties = json_schema(event_types()[name])["properties"]

    for column in table(event_types()[name], engine).columns:
        field = properties[column.name]
        may_be_null = {"type": "null"} in field.get("anyOf", []) or "null" in field.get("type", [])
        assert may_be_null == column.nullable, column


@each_table
def test_the_key_identifies_a_record_or_an_event(name: str, engine: Engine) -> None:
    fields = json_schema(event_types()[name])["properties"].keys()

    made = table(event_types()[name], engine)

    if name == "collector.progress.v1":
        assert (["source", "stream"], "committed_at") == (made.key, made.version)
    elif "position" in fields:
        assert ["record_id", "position"] == made.key
    else:
        assert ["record_id" if "revision" in fields else "event_id"] == made.key
    if "revision" in fields:
        assert "revision" == made.version


def test_times_have_a_zone_and_local_times_have_none() -> None:
    viewer = event_types()["quividi.viewer.v1"]
    types = {
        engine: {column.name: column.type for column in table(viewer, engine).columns}
        for engine in (Engine.DUCKDB, Engine.POSTGRES, Engine.FLINK)
    }

    assert ["TIMESTAMPTZ", "timestamptz", "TIMESTAMP_LTZ(3)"] == [each["started_at"] for each in types.values()]
    assert ["TIMESTAMP", "timestamp", "TIMESTAMP(3)"] == [each["started_local"] for each in types.values()]


@pytest.mark.parametrize("name", event_types())
def test_statements_for_postgres_are_valid_by_another_parser(name: str) -> None:
    parsed = sqlglot.parse(sql(name, Engine.POSTGRES), dialect="postgres")

    kinds = [type(statement) for statement in parsed if statement is not None]
    columns = table(event_types()[name], Engine.POSTGRES).columns
    assert [exp.Create, *[exp.Comment] * (len(columns) + 1), exp.Create, exp.Insert] == kinds
    create = parsed[0]
    assert create is not None
    assert [column.name for column in columns] == [each.name for each in create.find_all(exp.ColumnDef)]
