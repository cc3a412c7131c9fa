"""The columns of SQL tables: how the types of a schema are written for each engine."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from inspect import cleandoc
from typing import Any

from msgspec import Struct

from collector.commands.arguments import Engine
from collector.model import EventType
from collector.pipeline.message import PROGRESS
from collector.schemas import json_schema

Schema = Mapping[str, Any]


class Dialect(Struct, frozen=True):
    """The types of an engine."""

    string: str
    integer: str
    number: str
    boolean: str
    instant: str
    local: str
    """A date and a time of day, without a zone."""
    row: str
    """Template of an object: `{}` stands for its fields."""
    field: str
    """Template of a field of an object: name and type."""
    array: str
    """Template of an array: `{}` stands for the type of its items."""
    enum: str = ""
    """The type of strings with few values; empty for that of any string."""
    nullable: Callable[[str], str] = str
    """Returns the type whose values may be null. In most engines, those of any type may."""


class Column(Struct, frozen=True):
    """A column of a table."""

    name: str
    type: str
    nullable: bool
    comment: str


class Table(Struct, frozen=True):
    """The table of an event type."""

    topic: str
    type: str
    comment: str
    columns: Sequence[Column]
    key: Sequence[str]
    version: str | None
    """The column whose highest value is the newest one; None if rows with equal keys are equal."""

    @property
    def name(self) -> str:
        return self.topic.replace(".", "_")


def _nullable_in_clickhouse(kind: str) -> str:
    """ClickHouse has no null arrays and objects: null is stored as an empty array, or as an object of nulls."""
    if kind.startswith(("Array(", "Tuple(")):
        return kind
    if kind.startswith("LowCardinality("):
        return kind.replace("(String)", "(Nullable(String))")
    return f"Nullable({kind})"


DIALECTS: Mapping[Engine, Dialect] = {
    Engine.DUCKDB: Dialect(
        string="VARCHAR",
        integer="BIGINT",
        number="DOUBLE",
        boolean="BOOLEAN",
        instant="TIMESTAMPTZ",
        local="TIMESTAMP",
        row="STRUCT({})",
        field="{} {}",
        array="{}[]",
    ),
    # DateTime64 is always an instant. Local times are stored as if they were in UTC: no zone of a server counts.
    Engine.CLICKHOUSE: Dialect(
        string="String",
        integer="Int64",
        number="Float64",
        boolean="Bool",
        instant="DateTime64(3, 'UTC')",
        local="DateTime64(3, 'UTC')",
        row="Tuple({})",
        field="{} {}",
        array="Array({})",
        enum="LowCardinality(String)",
        nullable=_nullable_in_clickhouse,
    ),
    Engine.POSTGRES: Dialect(
        string="text",
        integer="bigint",
        number="double precision",
        boolean="boolean",
        instant="timestamptz",
        local="timestamp",
        row="jsonb",
        field="",
        array="jsonb",
    ),
    Engine.FLINK: Dialect(
        string="STRING",
        integer="BIGINT",
        number="DOUBLE",
        boolean="BOOLEAN",
        instant="TIMESTAMP_LTZ(3)",
        local="TIMESTAMP(3)",
        row="ROW<{}>",
        field="`{}` {}",
        array="ARRAY<{}>",
    ),
}


def table(event_type: EventType, engine: Engine) -> Table:
    """The table of a type."""
    schema = json_schema(event_type)
    names = schema["properties"].keys()
    key, version = _key(event_type, names)
    columns = [_column(name, part, schema, engine) for name, part in schema["properties"].items()]
    return Table(event_type.topic, event_type.name, _one_line(schema["description"]), columns, key, version)


def _key(event_type: EventType, names: AbstractSet[str]) -> tuple[Sequence[str], str | None]:
    """The columns that identify a row, and the one that tells which of equal keys is the newest."""
    version = "revision" if "revision" in names else None
    if event_type is PROGRESS:
        return ["source", "stream"], "committed_at"
    if "position" in names:
        return ["record_id", "position"], version
    return ["record_id"] if version else ["event_id"], version


def _column(name: str, part: Schema, schema: Schema, engine: Engine) -> Column:
    dialect = DIALECTS[engine]
    kind, nullable = _type(part, schema, dialect, name)
    nullable = nullable or name not in schema["required"]
    comment = _one_line(part.get("description", ""))
    if engine is Engine.CLICKHOUSE:
        comment += _note(kind, name, nullable=nullable)
    return Column(name, dialect.nullable(kind) if nullable else kind, nullable, comment)


def _note(kind: str, name: str, *, nullable: bool) -> str:
    """What ClickHouse stores otherwise than the description says."""
    if name.endswith("_local"):
        return " Stored as if it were in UTC."
    if nullable and kind.startswith("Array("):
        return " Null is stored as an empty array."
    return " Null is stored with null in every field." if nullable and kind.startswith("Tuple(") else ""


def _type(part: Schema, schema: Schema, dialect: Dialect, name: str = "") -> tuple[str, bool]:
    """The type of a value in the engine, and whether it may be null."""
    if "anyOf" in part:
        (value,) = (each for each in part["anyOf"] if each != {"type": "null"})
        return _type(value, schema, dialect, name)[0], True
    if "$ref" in part:
        return _type(schema["$defs"][part["$ref"].rpartition("/")[2]], schema, dialect, name)
    types = part["type"] if isinstance(part["type"], list) else [part["type"]]
    (kind,) = (each for each in types if each != "null")
    return _name_of_type(kind, part, schema, dialect, name), "null" in types


def _name_of_type(kind: str, part: Schema, schema: Schema, dialect: Dialect, name: str) -> str:
    match kind:
        case "array":
            return dialect.array.format(_type(part["items"], schema, dialect)[0])
        case "object":
            fields = (_field(field, each, schema, dialect) for field, each in part["properties"].items())
            return dialect.row.format(", ".join(fields))
        case "string" if part.get("format") == "date-time":
            return dialect.instant
        case "string" if name.endswith("_local"):
            return dialect.local
        case "string" if "enum" in part or "const" in part:
            return dialect.enum or dialect.string
    return str(getattr(dialect, kind))


def _field(name: str, part: Schema, schema: Schema, dialect: Dialect) -> str:
    kind, nullable = _type(part, schema, dialect, name)
    return dialect.field.format(name, dialect.nullable(kind) if nullable else kind)


def _one_line(text: str) -> str:
    return " ".join(cleandoc(text).split())
