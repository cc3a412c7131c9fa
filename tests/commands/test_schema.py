"""`collector schema` prints the contract of every event type as JSON."""

import json
from pathlib import Path

import pytest

from collector.schemas import event_types
from tests.commands.configuration import SESSIONS
from tests.commands.harness import collector

pytestmark = pytest.mark.anyio

TYPES = [
    "seemetrix.session.v1",
    "seemetrix.attention.v1",
    "seemetrix.emotion.v1",
    "seemetrix.content_view.v1",
    "collector.dead_letter.v1",
]


async def test_without_a_type_every_schema_is_printed_by_name() -> None:
    result = await collector("schema")

    printed = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert set(TYPES) <= printed.keys()
    assert event_types().keys() == printed.keys()
    assert all(name == printed[name]["properties"]["type"]["const"] for name in printed)


async def test_with_a_type_only_its_schema_is_printed() -> None:
    all_schemas = json.loads((await collector("schema")).out)

    result = await collector("schema", "seemetrix.session.v1")

    assert (result.code, result.err) == (0, "")
    assert all_schemas["seemetrix.session.v1"] == json.loads(result.out)


async def test_the_twin_in_draft_07_is_printed() -> None:
    result = await collector("schema", "seemetrix.session.v1", "--draft-07")

    assert "http://json-schema.org/draft-07/schema#" == json.loads(result.out)["$schema"]


async def test_an_unknown_type_is_an_error_with_a_suggestion_or_else_the_known_types() -> None:
    near, far = await collector("schema", "seemetrix.session.v9"), await collector("schema", "weather")

    assert [(2, ""), (2, "")] == [(result.code, result.out) for result in (near, far)]
    assert near.err.rstrip().endswith("seemetrix.session.v9 (did you mean seemetrix.session.v1?)")
    assert "did you mean" not in far.err
    assert not [name for name in TYPES if name not in far.err]


async def test_the_asyncapi_document_of_a_configuration_contains_its_topics(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(f'kafka.topic_prefix = "shop."\n{SESSIONS}', "utf-8")

    result = await collector("schema", "--asyncapi", "--config", str(tmp_path / "config.toml"))

    assert (result.code, result.err) == (0, "")
    assert "shop.seemetrix.sessions" == json.loads(result.out)["channels"]["seemetrix.sessions"]["address"]


async def test_the_asyncapi_document_contains_all_types() -> None:
    result = await collector("schema", "--asyncapi")

    printed = json.loads(result.out)
    assert (result.code, result.err) == (0, "")
    assert "3.0.0" == printed["asyncapi"]
    assert event_types().keys() == printed["components"]["messages"].keys()


async def test_the_asyncapi_document_cannot_be_limited_to_a_type() -> None:
    result = await collector("schema", "seemetrix.session.v1", "--asyncapi")

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("--asyncapi ")


@pytest.mark.parametrize("engine", ["duckdb", "clickhouse", "postgres", "flink"])
async def test_the_table_of_a_type_is_printed(engine: str) -> None:
    result = await collector("schema", "seemetrix.session.v1", "--sql", engine)

    assert (result.code, result.err) == (0, "")
    created = [line for line in result.out.splitlines() if line.startswith("CREATE TABLE")]
    assert len(created) == 1
    assert "seemetrix_sessions" in created[0]


@pytest.mark.parametrize("other", ["--asyncapi", "--draft-07"])
async def test_sql_and_json_are_not_printed_together(other: str) -> None:
    result = await collector("schema", "--sql", "duckdb", other)

    assert (result.code, result.out) == (2, "")
    assert "--sql" in result.err
