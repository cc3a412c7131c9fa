"""Fields may be added to a type; anything else is a new version, and is told with its place."""

from typing import Any

import pytest

from tests.contracts.additions import Schema, breaks

NUMBER, TEXT, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}
WORD = {"enum": ["child", "adult"]}


def schema(required: list[str] | None = None, defs: dict[str, Schema] | None = None, **fields: Any) -> Schema:  # noqa: ANN401 - JSON
    body = {"type": "object", "properties": fields, "required": list(fields) if required is None else required}
    return {**body, **({"$defs": defs} if defs else {})}


def of(*kinds: Schema) -> Schema:
    return {"anyOf": list(kinds)}


def mood(**fields: Any) -> Schema:  # noqa: ANN401 - JSON
    return schema(mood=of({"$ref": "#/$defs/Mood"}, NULL), defs={"Mood": schema(**fields)})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (schema(dwell_ms=NUMBER), schema(dwell_ms=NUMBER)),
        (schema(dwell_ms=NUMBER), schema(dwell_ms=NUMBER, source=TEXT)),
        (schema(dwell_ms=NUMBER), schema(["dwell_ms"], dwell_ms=NUMBER, source=TEXT)),
        (schema([], dwell_ms=NUMBER), schema(dwell_ms=NUMBER)),
        (schema(dwell_ms=NUMBER), schema(dwell_ms={**NUMBER, "title": "Dwell (ms)", "description": "How long."})),
        (schema(age=WORD), schema(age={"enum": ["adult", "child"]})),
        (schema(age=of(WORD, NULL)), schema(age=of(NULL, WORD))),
        (mood(happy=NUMBER), mood(happy=NUMBER, angry=NUMBER)),
        (mood(happy=NUMBER), schema(mood=of(schema(happy=NUMBER), NULL))),
        (schema(parts={"type": "array", "items": schema(a=NUMBER)}),) * 2,
        (
            schema(parts={"type": "array", "items": schema(a=NUMBER)}),
            schema(parts={"type": "array", "items": schema(a=NUMBER, b=TEXT)}),
        ),
    ],
)
def test_what_is_added_breaks_nothing(before: Schema, after: Schema) -> None:
    assert [] == breaks(before, after)


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        (schema(dwell_ms=NUMBER, source=TEXT), schema(source=TEXT), "$.dwell_ms: is gone"),
        (schema(dwell_ms=NUMBER), schema([], dwell_ms=NUMBER), "$.dwell_ms: was always there"),
        (schema(dwell_ms=NUMBER), schema(dwell_ms=TEXT), "$.dwell_ms: type was integer, and is string"),
        (schema(dwell_ms=NUMBER), schema(dwell_ms=of(NUMBER, NULL)), "$.dwell_ms: was {'type': 'integer'}, and is {"),
        (schema(dwell_ms=of(NUMBER, NULL)), schema(dwell_ms=NUMBER), "$.dwell_ms: was {"),
        (schema(dwell_ms=of(NUMBER, NULL)), schema(dwell_ms=of(TEXT, NULL)), "$.dwell_ms: was {"),
        (schema(dwell_ms={**NUMBER, "minimum": 0}), schema(dwell_ms=NUMBER), "$.dwell_ms: minimum was 0"),
        (schema(start=TEXT), schema(start={**TEXT, "format": "date-time"}), "$.start: format was None"),
        (schema(age=WORD), schema(age={"enum": ["child"]}), "$.age: enum was"),
        (schema(age=WORD), schema(age={"enum": ["child", "adult", "senior"]}), "$.age: enum was"),
        (mood(happy=NUMBER), mood(angry=NUMBER), "$.mood: was {"),
        (
            schema(parts={"type": "array", "items": schema(a=NUMBER)}),
            schema(parts={"type": "array", "items": schema(b=NUMBER)}),
            "$.parts[].a: is gone",
        ),
        (
            schema(parts={"type": "array", "items": TEXT}),
            schema(parts={"type": "array"}),
            "$.parts[]: type was string",
        ),
    ],
)
def test_anything_else_does_and_is_told_with_its_place(before: Schema, after: Schema, place: str) -> None:
    assert any(told.startswith(place) for told in breaks(before, after))
