"""All fields of a type, also those of the objects in it."""

from collections.abc import Iterator, Mapping
from typing import Any

Field = dict[str, Any]


def fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    """Each with its path, e.g. `mood.happy` or `path[].name`; those of an object come after the field that holds it."""
    yield from _below("", schema, schema)


def _below(within: str, part: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Field]]:
    for name, field in part["properties"].items():
        path = f"{within}{name}"
        yield path, field
        for each in (field, *field.get("anyOf", ())):
            many = "items" in each
            reference = (each["items"] if many else each).get("$ref")
            if reference is not None:
                inner = schema["$defs"][reference.removeprefix("#/$defs/")]
                yield from _below(f"{path}{'[]' if many else ''}.", inner, schema)
