"""How the differences of two schemas are described."""

from typing import Any

import pytest

from collector.registry.differences import differences

INTEGER, TEXT = {"type": "integer"}, {"type": "string"}


def schema(required: list[str], definitions: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"type": "object", "required": required, "properties": properties, "definitions": definitions or {}}


BEFORE = schema(["a"], {"Gender": {"enum": ["female", "male"]}, "Step": schema(["name"], name=TEXT)}, a=TEXT, b=INTEGER)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (BEFORE, ""),
        ({**BEFORE, "properties": {"a": {**TEXT, "description": "Another text."}, "b": INTEGER}}, ""),
        ({**BEFORE, "properties": {"a": TEXT}}, "removes b"),
        ({**BEFORE, "properties": {"c": TEXT, "d": TEXT}, "required": []}, "removes a and b, adds c and d"),
        ({**BEFORE, "properties": {"a": TEXT, "b": TEXT}}, "changes b"),
        ({**BEFORE, "required": []}, "no longer requires a"),
        ({**BEFORE, "required": ["a", "b"]}, "newly requires b"),
        ({**BEFORE, "definitions": {**BEFORE["definitions"], "Gender": {"enum": ["male"]}}}, "changes Gender"),
        ({**BEFORE, "definitions": {**BEFORE["definitions"], "Step": schema([])}}, "removes Step.name, adds Step"),
        (None, "removes Gender and Step.name and a and b"),
        ({"properties": [], "required": 7, "definitions": "x"}, "removes Gender and Step.name and a and b"),
    ],
)
def test_differences_are_named_by_field(after: object, expected: str) -> None:
    assert expected == differences(BEFORE, after)
