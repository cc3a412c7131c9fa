"""The fields of a type, including those of nested objects."""

from collections.abc import Iterator, Mapping
from typing import Any

Field = dict[str, Any]


def fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    """Yield each field with its path, such as `mood.happy` or `path[].name`. Nested fields follow their parent."""
    yield from _nested("", schema, schema)


def _nested(prefix: str, part: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    for name, field in part["properties"].items():
        path = f"{prefix}{name}"
        yield path, field
        for each in (field, *field.get("anyOf", ())):
            is_array = "items" in each
            reference = (each["items"] if is_array else each).get("$ref")
            if reference is not None:
                inner = schema["$defs"][reference.removeprefix("#/$defs/")]
                yield from _nested(f"{path}{'[]' if is_array else ''}.", inner, schema)
