"""Flink executes what is printed for it. Only the connector is another one: it reads files instead of topics."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.commands.arguments import Engine
from collector.commands.sql import sql
from collector.commands.sql_types import table
from collector.schemas import event_types, json_schema
from tests.contracts.fields import types_of
from tests.java import QUICK_START
from tests.maven import fetched
from tests.needs import absent, need
from tests.sql.engines import Value, write_lines
from tests.sql.varied import values

FLINK = Path(__file__).parent / "flink"
_CONNECTOR = re.compile(
    r"    'connector' = 'kafka',\n    'topic' = '([^']+)',\n(?:    '(?:properties|scan)\.[^\n]+\n)+", re.MULTILINE
)


def sent(name: str) -> list[Value]:
    """Values of the type, and a newer revision of each, if there are revisions."""
    first = list(values(event_types()[name], 50))
    if "revision" not in first[0]:
        return [*first, *first]
    return [
        *first,
        *({**each, "event_id": f"{each['event_id']}/1", "revision": each["revision"] + 1} for each in first),
    ]


def columns(name: str) -> Iterator[tuple[str, str]]:
    """The expressions that are compared, with the field of each."""
    for field, part in json_schema(event_types()[name])["properties"].items():
        if types_of(part) & {"number", "integer"}:
            yield field, f"CAST(SUM(`{field}`) AS DECIMAL(30, 3))"
        elif part.get("format") == "date-time" or field.endswith("_local"):
            yield field, f"MAX(`{field}`)"
        else:
            yield field, f"COUNT(`{field}`)"


def text_of(expression: str) -> str:
    return f"COALESCE(CAST({expression} AS STRING), 'null')"


def expected(field: str, expression: str, found: list[Any]) -> str:
    """The result of an expression in Flink, for the values of the field that are not null."""
    if "COUNT" in expression:
        return str(len(found))
    if not found:
        return "null"
    if "MAX" not in expression:
        return f"{sum(found):.3f}"
    time = max(found).replace("T", " ").removesuffix("Z")
    return f"{time}.000" if field.endswith("_local") else time


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The row of each type."""
    need("JAVA", absent("java", "mvn"))
    folder = tmp_path_factory.mktemp("flink")
    for name, event_type in event_types().items():
        write_lines(folder / event_type.topic, sent(name))
    file = rf"    'connector' = 'filesystem',\n    'path' = 'file://{folder}/\1',\n"
    script, number = _CONNECTOR.subn(file, sql(None, Engine.FLINK))
    assert len(event_types()) == number
    (folder / "script.sql").write_text(script, "utf-8")
    newest = {name: f"{table(event_types()[name], Engine.FLINK).name}_newest" for name in event_types()}
    # One query, because each one starts a cluster.
    selects = (
        f"SELECT '{name}', CONCAT_WS('|', {', '.join(text_of(each) for _, each in columns(name))}) FROM `{view}`"  # noqa: S608 - names of types
        for name, view in newest.items()
    )
    (folder / "queries.sql").write_text(" UNION ALL ".join(selects), "utf-8")
    jars = fetched("flink", FLINK / "pom.xml", "copy-dependencies", "-DincludeScope=runtime")
    command = ["java", *QUICK_START, "-XX:+UseSerialGC", *OPENED, "-cp", f"{jars}/*", str(FLINK / "Execute.java")]
    done = subprocess.run(
        [*command, str(folder / "script.sql"), str(folder / "queries.sql")], capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr[-4000:]
    rows = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    return {name: row.split("|") for name, row in rows}


OPENED = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ("java.util", "java.lang", "java.time")]
"""The packages that Flink's serializers need."""


@pytest.mark.parametrize("name", event_types())
def test_the_view_has_the_newest_row_of_each_key(name: str, results: dict[str, list[str]]) -> None:
    newest = sent(name)[50:]
    by_field = {field: [row[field] for row in newest if row[field] is not None] for field, _ in columns(name)}

    truth = [expected(field, expression, by_field[field]) for field, expression in columns(name)]

    assert truth == results[name]
