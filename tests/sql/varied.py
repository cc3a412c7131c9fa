"""Messages of any type with random values, made from the example of the type and encoded as the daemon encodes them."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec

from collector.commands.schema import json_schema
from collector.instants import format_instant
from collector.model import Account, Event, EventType
from collector.pipeline.message import CommonFields, Origin, event_message

Value = dict[str, Any]
COMMON = set(CommonFields.__struct_fields__)
TEXTS = ("plain", "", 'it\'s "quoted"', "back\\slash", "a,b;\tc\nd", "日本語 ☃ é", "null", "2.0", "NaN", "{}", "🙂")
"""Texts that a loader could take for something else."""
FIRST = datetime(2018, 1, 1, tzinfo=UTC)
SPAN_MS = 10 * 365 * 86_400_000


def values(event_type: EventType, number: int, *, seed: int = 1, plain: int = 0) -> Iterator[Value]:
    """Yield values with distinct keys. The first `plain` ones have null or a whole number wherever that is possible."""
    schema, random = json_schema(event_type), Random(f"{seed} {event_type.name}")
    origin = Origin(Account(event_type.name.partition(".")[0], "371"), "mall", "stream")
    for index in range(number):
        make = _Maker(schema, random, is_plain=index < plain)
        content = {name: make.value(name, part) for name, part in schema["properties"].items() if name not in COMMON}
        content |= {name: f"record/{index}" for name in ("record_id",) if name in content}
        content |= {name: f"stream-{index}" for name in ("stream",) if name in content}
        data = msgspec.convert(content, event_type.data)
        event = Event(event_type, f"{index:032x}/varied/0", "subject", "time", "key", data)
        yield json.loads(event_message(event, origin).value)


class _Maker:
    """Makes random values of a schema."""

    def __init__(self, schema: Mapping[str, Any], random: Random, *, is_plain: bool) -> None:
        self._schema = schema
        self._random = random
        self._is_plain = is_plain

    def value(self, name: str, part: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        if "$ref" in part:
            part = self._schema["$defs"][part["$ref"].rpartition("/")[2]]
        kinds = part.get("anyOf") or [
            {**part, "type": kind} for kind in ([part["type"]] if isinstance(part["type"], str) else part["type"])
        ]
        others = [kind for kind in kinds if kind.get("type") != "null"]
        is_null = len(others) < len(kinds) and (self._is_plain or self._random.random() < 0.2)
        if is_null:
            return None
        (kind,) = others
        return self.value(name, kind) if "$ref" in kind else self._not_null(name, kind)

    def _not_null(self, name: str, part: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        random = self._random
        match part["type"]:
            case "object":
                return {field: self.value(field, each) for field, each in part["properties"].items()}
            case "array":
                return [self.value(name, part["items"]) for _ in range(0 if self._is_plain else random.randrange(4))]
            case "boolean":
                return random.random() < 0.5
            case "integer":
                return 2 if self._is_plain else random.choice((0, 1, random.randrange(10_000), 2**40 + 1))
            case "number":  # eighths, whose sums are exact in any order
                return 2.0 if self._is_plain else random.randrange(8000) / 8
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
        return "2" if self._is_plain else random.choice(TEXTS)
