"""Every field of every type has a description, and the name of a duration ends with its unit."""

import re

import pytest

from collector.schemas import event_types, json_schema
from tests.contracts.fields import Field, fields, types_of

DURATIONS = {"duration", "dwell", "attention", "time", "elapsed", "lasted", "offset", "uptime"}
"""A number with one of these words in its name is a duration, unless the last word is one of `NOT_DURATIONS`."""
UNITS = {"ms", "s"}
NOT_DURATIONS = {"count", "code", "id", "number", "position", "percent", "ratio"}

each_type = pytest.mark.parametrize("name", event_types())


def fields_of(name: str) -> list[tuple[str, Field]]:
    return list(fields(json_schema(event_types()[name])))


def is_number(field: Field) -> bool:
    return not types_of(field).isdisjoint({"integer", "number"})


def lacks_its_unit(path: str, field: Field) -> bool:
    """Whether a duration has its unit neither in its name nor in that of its parent, as in `mood_ms.happy`."""
    *_, name = path.split(".")
    words = name.split("_")
    has_described_unit = re.search(r"\bin (milli)?seconds\b", field.get("description", ""), re.IGNORECASE) is not None
    is_duration = has_described_unit or (not DURATIONS.isdisjoint(words) and words[-1] not in NOT_DURATIONS)
    has_unit = any(each.rpartition("_")[2] in UNITS for each in path.replace("[]", "").split("."))
    return is_number(field) and is_duration and not has_unit


@each_type
def test_every_field_has_a_description(name: str) -> None:
    assert not [field for field, kind in fields_of(name) if not kind.get("description")]


@each_type
def test_every_object_has_a_description(name: str) -> None:
    schema = json_schema(event_types()[name])
    objects = {name: schema, **{each: kind for each, kind in schema.get("$defs", {}).items() if "properties" in kind}}
    assert not [each for each, kind in objects.items() if not kind.get("description")]


@each_type
def test_every_duration_has_its_unit_in_its_name(name: str) -> None:
    assert not [field for field, kind in fields_of(name) if lacks_its_unit(field, kind)]


@pytest.mark.parametrize(
    ("name", "kind", "description", "expected"),
    [
        ("dwell", "integer", "How long.", True),
        ("dwell_ms", "integer", "How long, in milliseconds.", False),
        ("watched", "number", "How long, in seconds.", True),
        ("attention_count", "integer", "How many such events.", False),
        ("gender_code", "integer", "The vendor's code.", False),
        ("time", "string", "When it was.", False),
        ("watchers_over_2s", "integer", "Who looked for more than two seconds.", False),
        ("mood_ms.happy", "integer", "In milliseconds.", False),
        ("mood.happy", "integer", "In milliseconds.", True),
    ],
)
def test_durations_without_a_unit_are_found(name: str, kind: str, description: str, expected: bool) -> None:
    assert expected == lacks_its_unit(name, {"description": description, "type": [kind, "null"]})
