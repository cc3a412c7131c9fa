"""docs/status.md documents every field and every enumerated value of /api/status, and no others."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from collector.model import Backfill
from collector.telemetry.status import KafkaState, RefusedConfiguration, StreamState, StreamStatus
from collector.timeline import CellKind
from tests.web import scenarios
from tests.web.scenarios import HOUR, NOW

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "status.md").read_text("utf-8")
BY_NAME = ("counts.records", "counts.events", "counts.dead_letters", "owners")
"""Objects whose keys are data."""


def fields(value: object, path: str = "") -> Iterator[str]:
    """The paths of all values that are not objects."""
    if isinstance(value, dict) and not path.endswith(BY_NAME):
        for name, each in value.items():
            yield from fields(each, f"{path}.{name}" if path else name)
    elif isinstance(value, (list, tuple)) and any(isinstance(each, dict) for each in value):
        for each in value:
            yield from fields(each, f"{path}[]")
    else:
        yield f"{path}[]" if isinstance(value, (list, tuple)) else path


def rows(first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    table = re.search(rf"^\| {first} \|.*\n\|[-|]+\n((?:\|.*\n)+)", TEXT, re.MULTILINE)
    assert table is not None
    return [line.strip("| ").split(" | ") for line in table[1].splitlines()]


def documented() -> set[str]:
    return {name for cell, _ in rows("field") for name in re.findall(r"`([^`]+)`", cell)}


def test_every_field_is_documented_and_no_other() -> None:
    status = scenarios.all_states().process_status
    status.refused = RefusedConfiguration(NOW, ["sources.mall.user_id: missing"])
    backfill = Backfill(NOW - 9 * HOUR, NOW - 6 * HOUR, NOW, "ann@desk")
    status.streams[0].backfills.append(StreamStatus("seemetrix", "arcade", "sessions~backfill", backfill=backfill))
    found = set(fields(status.as_json(NOW)))
    objects = {
        "streams[].backfill",
        "streams[].paused",
        "streams[].strip",
        "streams[].last_error",
        "streams[].last_window",
        "sources[].exports",
        "sources[].places",
    }
    assert documented() == found - objects


def test_fields_of_nested_objects_are_found() -> None:
    process_status = scenarios.all_states().process_status
    found = set(fields(process_status.as_json(NOW)))
    assert {"streams[].strip.kinds[]", "streams[].last_error.advice", "sources[].exports.at_once"} <= found


def test_every_enumerated_value_is_documented() -> None:
    assert {f"`{state}`" for state in get_args(StreamState)} == {state for state, _ in rows("state")}
    assert {f"`{kind}`" for kind in get_args(CellKind)} == {kind for _, kind, _ in rows("line")}
    (kafka,) = (text for name, text in rows("field") if name == "`kafka.state`")
    assert set(get_args(KafkaState)) <= set(re.findall(r"`([^`]+)`", kafka))
