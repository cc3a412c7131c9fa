"""Messages of any type with random values, made from the schema of the type and encoded as the daemon encodes them."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from collector.instants import format_instant
from collector.model import Account, Event, EventType
from collector.pipeline.message import CommonFields, Origin, event_message
from collector.schemas import json_schema

Value = dict[str, Any]
COMMON = set(CommonFields.__struct_fields__)
TEXTS = ("plain", "", 'it\'s "quoted"', "back\\slash", "a,b;\tc\nd", "日本語 ☃ é", "null", "2.0", "NaN", "{}", "🙂")
"""Texts that a loader may read as a number, a null, JSON or a delimiter."""
FIRST = datetime(2018, 1, 1, tzinfo=UTC)
SPAN_MS = 10 * 365 * 86_400_000


def values(event_type: EventType, number: int) -> Iterator[Value]:
    """Yield values with distinct keys."""
    maker = _Maker(json_schema(event_type), Random(event_type.name))
    return (_encoded(event_type, maker, index) for index in range(number))


def equal_values(event_type: EventType, number: int, numbers: float | None) -> Iterator[Value]:
    """Yield values that differ in their keys only. Every number that may be null is `numbers`."""
    maker = _Maker(json_schema(event_type), Random(event_type.name), is_fixed=True, fixed=numbers)
    model = _encoded(event_type, maker, 0)
    return (model | _keys(model, f"equal-{index}") for index in range(number))


def _encoded(event_type: EventType, maker: "_Maker", index: int) -> Value:
    """A value as the daemon encodes it."""
    origin = Origin(Account(event_type.name.partition(".")[0], "371"), "mall", "stream")
    content = maker.content()
    data = msgspec.convert(content | _keys(content, str(index)), event_type.data)
    event = Event(event_type, f"{index:032x}/varied/0", "subject", "time", "key", data)
    value: Value = json.loads(event_message(event, origin).value)
    return value


def _keys(content: Value, key: str) -> Value:
    return {name: f"{name}/{key}" for name in ("event_id", "record_id", "stream") if name in content}


class _Maker:
    """Makes random values of a schema."""

    def __init__(
        self, schema: Mapping[str, Any], random: Random, *, is_fixed: bool = False, fixed: float | None = None
    ) -> None:
        self._schema = schema
        self._random = random
        self._is_fixed = is_fixed
        self._fixed = fixed

    def content(self) -> Value:
        """The fields of a value after the common ones."""
        properties = self._schema["properties"]
        return {name: self.value(name, part) for name, part in properties.items() if name not in COMMON}

    def value(self, name: str, part: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if "$ref" in part:
            part = self._schema["$defs"][part["$ref"].rpartition("/")[2]]
        kinds = part.get("anyOf") or [
            {**part, "type": kind} for kind in ([part["type"]] if isinstance(part["type"], str) else part["type"])
        ]
        others = [kind for kind in kinds if kind.get("type") != "null"]
        if len(others) < len(kinds) and self._is_null(others[0]):
            return None
        (kind,) = others
        return self.value(name, kind) if "$ref" in kind else self._not_null(name, kind)

    def _is_null(self, part: Mapping[str, Any]) -> bool:
        if self._is_fixed:  # objects of numbers are there if the numbers are
            return self._fixed is None or not (part.get("type") == "number" or "$ref" in part)
        return self._random.random() < 0.2

    def _not_null(self, name: str, part: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        random = self._random
        match part["type"]:
            case "object":
                return {field: self.value(field, each) for field, each in part["properties"].items()}
            case "array":
                return [self.value(name, part["items"]) for _ in range(random.randrange(4))]
            case "boolean":
                return random.random() < 0.5
            case "integer":
                return random.choice((0, 1, random.randrange(10_000), 2**40 + 1))
            case "number":  # eighths, whose sums are exact in any order
                return self._fixed if self._is_fixed else random.randrange(8000) / 8
        return self._text(name, part)

    def _text(self, name: str, part: Mapping[str, Any]) -> str:
        random = self._random
        if "enum" in part:
            return str(random.choice(part["enum"]))
        instant = FIRST + timedelta(milliseconds=random.randrange(SPAN_MS))
        if part.get("format") == "date-time":
            return format_instant(instant)
        if name.endswith("_local"):
            return instant.replace(tzinfo=None, microsecond=0).isoformat()
        return random.choice(TEXTS)
