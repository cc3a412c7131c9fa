"""`collector schema`: the JSON Schemas of the event types."""

import json
from inspect import cleandoc
from typing import Any

import msgspec

from collector.errors import UserError, did_you_mean
from collector.model import EventType
from collector.pipeline.message import DEAD_LETTER
from collector.vendors import VENDORS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_UNITS = {"ms", "s"}
_INITIALS = {"id", "utc"}


def event_types() -> dict[str, EventType]:
    """Every type that the collector publishes, by name."""
    of_streams = (types for vendor in VENDORS.values() for types in vendor.event_types.values())
    types = [*(event_type for of_stream in of_streams for event_type in of_stream), DEAD_LETTER]
    return {event_type.name: event_type for event_type in types}


def json_schema(event_type: EventType) -> dict[str, Any]:
    """The schema of a type's values."""
    body, components = value_schemas(event_type, "#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "$id": f"urn:collector:{event_type.name}",
        **body,
        **({"$defs": components} if components else {}),
    }


def value_schemas(event_type: EventType, reference: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a type's values, and the schemas of the objects in them by name.

    `reference` is the template of `$ref`, with a placeholder `{name}`.
    """
    (root,), components = msgspec.json.schema_components([event_type.data], ref_template=reference)
    for each in components.values():
        if "description" in each:
            each["description"] = cleandoc(each["description"])
        for name, field in each.get("properties", {}).items():
            field.setdefault("title", title(name))
    body = components.pop(root["$ref"].removeprefix(reference.format(name="")))
    return {**body, "title": event_type.name}, components


def title(name: str) -> str:
    """The title of a field: "UTC offset (s)" for `utc_offset_s`."""
    *words, last = name.split("_")
    words = [each.upper() if each in _INITIALS else each for each in (*words, last)]
    if len(words) > 1 and last in _UNITS:
        words[-1] = f"({last})"
    text = " ".join(words)
    return text[0].upper() + text[1:]


def schema(name: str | None) -> str:
    """The schema of a type, or an object with all schemas by name. Raises UserError for an unknown type."""
    types = event_types()
    if name is None:
        return json.dumps({each: json_schema(event_type) for each, event_type in types.items()}, indent=2)
    if name not in types:
        text = f"no event type {name}{did_you_mean(name, types)}: the types are {', '.join(types)}"
        raise UserError(text, code="unknown_type")
    return json.dumps(json_schema(types[name]), indent=2)
