"""`collector schema --sql`: a table for each event type, and the statement that keeps the newest revision."""

from collections.abc import Callable, Mapping, Sequence

from collector.commands.arguments import Engine
from collector.commands.schema import chosen_types
from collector.commands.sql_types import Table, table


def sql(name: str | None, engine: Engine) -> str:
    """The statements for a type, or for all types. Raises UserError for an unknown type."""
    statements = _STATEMENTS[engine]
    return "\n".join("\n".join(statements(table(each, engine))) for each in chosen_types(name))


CLICKHOUSE_SETTINGS = "date_time_input_format = 'best_effort', input_format_skip_unknown_fields = 1"
"""How ClickHouse reads the values: times in ISO 8601, and fields that a later version adds are ignored."""

_PSQL_LINES = r"WITH (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')"
"""How psql copies each line as one value: JSON contains neither of the characters."""


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _lines(parts: Sequence[str]) -> str:
    return ",\n".join(f"    {part}" for part in parts)


def _title(of: Table) -> str:
    return f"-- {of.type}: {of.comment}\n"


def _create(of: Table) -> list[str]:
    """The table, with comments in statements of their own, as DuckDB and Postgres write them."""
    columns = [f"{each.name} {each.type}{'' if each.nullable else ' NOT NULL'}" for each in of.columns]
    return [
        f"CREATE TABLE IF NOT EXISTS {of.name} (",
        _lines([*columns, f"PRIMARY KEY ({', '.join(of.key)})"]),
        ");",
        f"COMMENT ON TABLE {of.name} IS {_literal(of.comment)};",
        *(f"COMMENT ON COLUMN {of.name}.{each.name} IS {_literal(each.comment)};" for each in of.columns),
    ]


def _on_conflict(of: Table) -> list[str]:
    """The end of an INSERT that replaces a row only by a newer one."""
    conflict = f"ON CONFLICT ({', '.join(of.key)})"
    if of.version is None:
        return [f"{conflict} DO NOTHING;", ""]
    updates = [f"{each.name} = excluded.{each.name}" for each in of.columns if each.name not in of.key]
    return [
        f"{conflict} DO UPDATE SET",
        _lines(updates),
        f"WHERE excluded.{of.version} > {of.name}.{of.version};",
        "",
    ]


def _order(of: Table) -> str:
    return f"{of.version} DESC" if of.version else "event_id"


def _duckdb(of: Table) -> list[str]:
    # The columns are named: otherwise the reader derives types from the first rows, where values may be null or whole.
    columns = [f"{each.name}: {_literal(each.type)}" for each in of.columns]
    return [
        _title(of),
        *_create(of),
        "",
        f"-- Loads {of.topic}.jsonl, which has one value in a line, and keeps the newest row of each key.",
        f"INSERT INTO {of.name} BY NAME",
        f"SELECT * FROM read_json({_literal(of.topic + '.jsonl')}, format = 'newline_delimited', columns = {{",  # noqa: S608 - names of types
        _lines(columns),
        "})",
        f"QUALIFY row_number() OVER (PARTITION BY {', '.join(of.key)} ORDER BY {_order(of)}) = 1",
        *_on_conflict(of),
    ]


def _postgres(of: Table) -> list[str]:
    key = ", ".join(of.key)
    return [
        _title(of),
        *_create(of),
        "",
        "-- Stores the values in the table `incoming`, and keeps the newest row of each key. Fill it first, in psql:",
        f"--   \\copy incoming FROM {_literal(of.topic + '.jsonl')} {_PSQL_LINES}",
        "CREATE TEMPORARY TABLE IF NOT EXISTS incoming (value jsonb NOT NULL);",
        f"INSERT INTO {of.name} ({', '.join(each.name for each in of.columns)})",
        f"SELECT DISTINCT ON ({key}) {', '.join(f'r.{each.name}' for each in of.columns)}",
        f"FROM incoming CROSS JOIN LATERAL jsonb_populate_record(NULL::{of.name}, value) AS r",
        f"WHERE value ->> 'type' = {_literal(of.type)}",
        f"ORDER BY {key}, {_order(of)}",
        *_on_conflict(of),
    ]


def _clickhouse(of: Table) -> list[str]:
    def literal(text: str) -> str:
        return _literal(text.replace("\\", "\\\\"))

    columns = [f"{each.name} {each.type} COMMENT {literal(each.comment)}" for each in of.columns]
    return [
        _title(of),
        f"CREATE TABLE IF NOT EXISTS {of.name} (",
        _lines(columns),
        f") ENGINE = ReplacingMergeTree({of.version or ''}) ORDER BY ({', '.join(of.key)})",
        f"COMMENT {literal(of.comment)};",
        "",
        "-- Load values with these settings:",
        f"--   INSERT INTO {of.name}",
        f"--   SETTINGS {CLICKHOUSE_SETTINGS}",
        "--   FORMAT JSONEachRow",
        "-- Rows are replaced some time after they are inserted. The view has the newest row of each key at any time.",
        f"CREATE VIEW IF NOT EXISTS {of.name}_newest AS SELECT * FROM {of.name} FINAL;",  # noqa: S608 - names of types
        "",
    ]


def _flink(of: Table) -> list[str]:
    columns = [
        f"`{each.name}` {each.type}{'' if each.nullable else ' NOT NULL'} COMMENT {_literal(each.comment)}"
        for each in of.columns
    ]
    options = {
        "connector": "kafka",
        "topic": of.topic,
        "properties.bootstrap.servers": "localhost:9092",
        "properties.isolation.level": "read_committed",
        "scan.startup.mode": "earliest-offset",
        "format": "json",
        "json.timestamp-format.standard": "ISO-8601",
    }
    order = f"`{of.version}` DESC" if of.version else "`processed_at`"
    return [
        _title(of),
        f"CREATE TABLE IF NOT EXISTS `{of.name}` (",
        # Flink keeps the first row by processing time with little state, and without ever retracting a result.
        _lines([*columns, *([] if of.version else ["`processed_at` AS PROCTIME()"])]),
        f") COMMENT {_literal(of.comment)} WITH (",
        _lines([f"{_literal(name)} = {_literal(value)}" for name, value in options.items()]),
        ");",
        "",
        "-- The newest row of each key. Messages have the key of a device or a location: `upsert-kafka` does not fit.",
        f"CREATE VIEW IF NOT EXISTS `{of.name}_newest` AS",
        f"SELECT {', '.join(f'`{each.name}`' for each in of.columns)}",
        "FROM (",
        "    SELECT *, ROW_NUMBER() OVER (",
        f"        PARTITION BY {', '.join(f'`{name}`' for name in of.key)} ORDER BY {order}",
        f"    ) AS `row_number` FROM `{of.name}`",
        ")",
        "WHERE `row_number` = 1;",
        "",
    ]


_STATEMENTS: Mapping[Engine, Callable[[Table], list[str]]] = {
    Engine.DUCKDB: _duckdb,
    Engine.CLICKHOUSE: _clickhouse,
    Engine.POSTGRES: _postgres,
    Engine.FLINK: _flink,
}
