"""The fields of a type, including those of nested objects."""

from collections.abc import Iterator, Mapping
from typing import Any

Field = dict[str, Any]


def fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    """Yield each field with its path, such as `mood.happy` or `path[].name`. Nested fields follow their parent.

    A reference to an enumeration is replaced by the enumeration.
    """
    yield from _nested("", schema, schema)


def _nested(prefix: str, part: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    for name, field in part["properties"].items():
        path = f"{prefix}{name}"
        yield path, _with_enums(field, schema)
        for each in (field, *field.get("anyOf", ())):
            is_array = "items" in each
            reference = (each["items"] if is_array else each).get("$ref")
            if reference is not None and "properties" in (inner := _target(reference, schema)):
                yield from _nested(f"{path}{'[]' if is_array else ''}.", inner, schema)


def _with_enums(field: Field, schema: Mapping[str, Any]) -> Field:
    if "anyOf" in field:
        return field | {"anyOf": [_with_enums(each, schema) for each in field["anyOf"]]}
    if "$ref" in field and "enum" in (target := _target(field["$ref"], schema)):
        return target | {name: value for name, value in field.items() if name != "$ref"}
    return field


def _target(reference: str, schema: Mapping[str, Any]) -> Field:
    found: Field = schema["$defs"][reference.removeprefix("#/$defs/")]
    return found


def types_of(field: Mapping[str, Any]) -> set[str]:
    """The names of the JSON types that a field may have; empty for a reference."""
    found: set[str] = set()
    for each in (field, *field.get("anyOf", ())):
        names = each.get("type", [])
        found |= {names} if isinstance(names, str) else set(names)
    return found
