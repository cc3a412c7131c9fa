"""The engines in which tests execute the printed SQL."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb
from chdb.session import Session

from collector.commands.arguments import Engine
from collector.commands.sql import CLICKHOUSE_SETTINGS, sql
from collector.commands.sql_types import table
from collector.model import EventType

Value = Mapping[str, Any]


class Database(Protocol):
    """A database in which the tables of types are made as they are printed."""

    def load(self, event_type: EventType, values: Iterable[Value]) -> None:
        """Make the table if there is none, and load values as the printed SQL tells."""

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The result as JSON has it, with times as the events have them."""

    def newest(self, event_type: EventType) -> str:
        """The name of the table or the view that has the newest row of each key."""

    def number(self, path: str) -> str:
        """The expression of a number with this path, such as `mood.happy`."""

    def clear(self) -> None:
        """Remove all tables and views."""


def write_lines(path: Path, values: Iterable[Value]) -> None:
    path.write_text("".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in values), "utf-8")


class DuckDb:
    """DuckDB in memory, which executes all that is printed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
        self.connection.execute("SET TimeZone = 'UTC'")

    def load(self, event_type: EventType, values: Iterable[Value]) -> None:
        path = self._folder / f"{event_type.topic}.jsonl"
        write_lines(path, values)
        statements = sql(event_type.name, Engine.DUCKDB).replace(f"'{path.name}'", f"'{path}'")
        self.connection.execute(statements)

    def rows(self, query: str) -> list[dict[str, Any]]:
        result = self.connection.execute(f"SELECT to_json(result) FROM ({query}) AS result").fetchall()  # noqa: S608 - of tests
        return [{name: _time(value) for name, value in json.loads(row).items()} for (row,) in result]

    def newest(self, event_type: EventType) -> str:
        return table(event_type, Engine.DUCKDB).name

    def number(self, path: str) -> str:
        return path

    def clear(self) -> None:
        for (name,) in self.connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            self.connection.execute(f"DROP TABLE {name}")


def _time(value: object) -> object:
    """A time as events have it: DuckDB writes a space, and leaves out trailing zeros."""
    if not isinstance(value, str) or not (found := _DUCKDB_TIME.fullmatch(value)):
        return value
    date, time, fraction, zone = found.groups()
    return f"{date}T{time}.{(fraction or '').ljust(3, '0')}Z" if zone else f"{date}T{time}"


_DUCKDB_TIME = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?(\+00)?")


class ClickHouse:
    """ClickHouse in this process, whose tables are made as printed, and loaded with the printed settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.session = Session(str(folder / "clickhouse"))
        self.clear()

    def load(self, event_type: EventType, values: Iterable[Value]) -> None:
        statements = sql(event_type.name, Engine.CLICKHOUSE)
        assert CLICKHOUSE_SETTINGS in statements
        self.session.query(statements)
        path = self._folder / f"{event_type.topic}.jsonl"
        write_lines(path, values)
        name = table(event_type, Engine.CLICKHOUSE).name
        self.session.query(f"INSERT INTO {name} FROM INFILE '{path}' SETTINGS {CLICKHOUSE_SETTINGS} FORMAT JSONEachRow")

    def rows(self, query: str) -> list[dict[str, Any]]:
        settings = "date_time_output_format = 'iso', output_format_json_quote_64bit_integers = 0"
        result = str(self.session.query(f"{query} SETTINGS {settings}", "JSONEachRow"))
        return [json.loads(line) for line in result.splitlines()]

    def newest(self, event_type: EventType) -> str:
        return f"{table(event_type, Engine.CLICKHOUSE).name}_newest"

    def number(self, path: str) -> str:
        return path

    def clear(self) -> None:
        self.session.query("DROP DATABASE IF EXISTS tests; CREATE DATABASE tests; USE tests")


@contextmanager
def duckdb_database(folder: Path) -> Iterator[DuckDb]:
    database = DuckDb(folder)
    try:
        yield database
    finally:
        database.connection.close()


@contextmanager
def clickhouse_database(folder: Path) -> Iterator[ClickHouse]:
    database = ClickHouse(folder)
    try:
        yield database
    finally:
        database.session.close()
