"""Only fields may be added to a type. Any other change is reported with its path."""

from typing import Any

import pytest

from tests.contracts.additions import Schema, breaking_changes

NUMBER, TEXT, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}
ADDED = {"type": ["string", "null"]}
WORD = {"enum": ["child", "adult"]}


def schema(required: list[str] | None = None, defs: dict[str, Schema] | None = None, **fields: Any) -> Schema:  # noqa: ANN401 - JSON
    body = {"type": "object", "properties": fields, "required": list(fields) if required is None else required}
    return {**body, **({"$defs": defs} if defs else {})}


def any_of(*kinds: Schema) -> Schema:
    return {"anyOf": list(kinds)}


def mood(required: list[str] | None = None, **fields: Any) -> Schema:  # noqa: ANN401 - JSON
    return schema(mood=any_of({"$ref": "#/$defs/Mood"}, NULL), defs={"Mood": schema(required, **fields)})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (schema(dwell_ms=NUMBER), schema(dwell_ms=NUMBER)),
        (schema(dwell_ms=NUMBER), schema(["dwell_ms"], dwell_ms=NUMBER, source=ADDED)),
        (schema(dwell_ms=NUMBER), schema(["dwell_ms"], dwell_ms=NUMBER, source=any_of(WORD, NULL))),
        (schema(dwell_ms=NUMBER), schema(["dwell_ms"], dwell_ms=NUMBER, share={**NUMBER, "default": 0})),
        (schema(a=ADDED), schema(a={"type": ["null", "string"]})),
        (schema(dwell_ms=NUMBER), schema(dwell_ms={**NUMBER, "title": "Dwell (ms)", "description": "How long."})),
        (schema(age=WORD), schema(age={"enum": ["adult", "child"]})),
        (schema(age=any_of(WORD, NULL)), schema(age=any_of(NULL, WORD))),
        (mood(happy=NUMBER), mood(["happy"], happy=NUMBER, angry=ADDED)),
        (schema(parts={"type": "array", "items": schema(a=NUMBER)}),) * 2,
        (
            schema(parts={"type": "array", "items": schema(a=NUMBER)}),
            schema(parts={"type": "array", "items": schema(["a"], a=NUMBER, b=ADDED)}),
        ),
    ],
)
def test_additions_are_compatible(before: Schema, after: Schema) -> None:
    assert [] == breaking_changes(before, after)


@pytest.mark.parametrize(
    ("before", "after", "start"),
    [
        (schema(dwell_ms=NUMBER, source=TEXT), schema(source=TEXT), "$.dwell_ms: removed"),
        (schema(dwell_ms=NUMBER), schema([], dwell_ms=NUMBER), "$.dwell_ms: no longer required"),
        (schema(a=NUMBER), schema(a=NUMBER, source=ADDED), "$.source: added as a required field"),
        (schema(a=NUMBER), schema(["a"], a=NUMBER, source=TEXT), "$.source: added as a field that cannot be null"),
        (mood(happy=NUMBER), mood(happy=NUMBER, angry=ADDED), "$.mood: changed from {"),
        (mood(happy=NUMBER), schema(mood=any_of(schema(happy=NUMBER), NULL)), "$defs.Mood: removed"),
        (schema([], a=ADDED), schema(a=ADDED), "$.a: now required"),
        ({**schema(a=NUMBER), "title": "A"}, {**schema(a=NUMBER), "title": "B"}, "$: title changed from A"),
        (
            schema(a=any_of(TEXT, NULL)),
            schema(a={**any_of(TEXT, NULL), "enum": ["b"]}),
            "$.a: enum changed from None",
        ),
        (schema(dwell_ms=NUMBER), schema(dwell_ms=TEXT), "$.dwell_ms: type changed from integer to string"),
        (
            schema(dwell_ms=NUMBER),
            schema(dwell_ms=any_of(NUMBER, NULL)),
            "$.dwell_ms: changed from {'type': 'integer'} to {",
        ),
        (schema(dwell_ms=any_of(NUMBER, NULL)), schema(dwell_ms=NUMBER), "$.dwell_ms: changed from {"),
        (schema(dwell_ms=any_of(NUMBER, NULL)), schema(dwell_ms=any_of(TEXT, NULL)), "$.dwell_ms: changed from {"),
        (schema(dwell_ms={**NUMBER, "minimum": 0}), schema(dwell_ms=NUMBER), "$.dwell_ms: minimum changed from 0"),
        (schema(start=TEXT), schema(start={**TEXT, "format": "date-time"}), "$.start: format changed from None"),
        (schema(age=WORD), schema(age={"enum": ["child"]}), "$.age: enum changed"),
        (schema(age=WORD), schema(age={"enum": ["child", "adult", "senior"]}), "$.age: enum changed"),
        (mood(happy=NUMBER), mood(angry=NUMBER), "$.mood: changed from {"),
        (
            schema(parts={"type": "array", "items": schema(a=NUMBER)}),
            schema(parts={"type": "array", "items": schema(b=NUMBER)}),
            "$.parts[].a: removed",
        ),
        (
            schema(parts={"type": "array", "items": TEXT}),
            schema(parts={"type": "array"}),
            "$.parts[]: type changed from string",
        ),
    ],
)
def test_other_changes_are_reported_with_their_path(before: Schema, after: Schema, start: str) -> None:
    assert any(change.startswith(start) for change in breaking_changes(before, after))
