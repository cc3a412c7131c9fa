"""`collector schema`: the JSON Schemas of the event types."""

import json
from typing import Any

import msgspec

from collector.errors import UserError
from collector.model import EventType
from collector.pipeline.message import DEAD_LETTER
from collector.vendors import VENDORS

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def event_types() -> dict[str, EventType]:
    """Every type that the collector publishes, by name."""
    streams = (kinds for vendor in VENDORS.values() for kinds in vendor.event_types.values())
    kinds = [*(kind for types in streams for kind in types), DEAD_LETTER]
    return {kind.name: kind for kind in kinds}


def json_schema(kind: EventType) -> dict[str, Any]:
    """The schema of a type's values."""
    (schema,), components = msgspec.json.schema_components([kind.data], ref_template="#/$defs/{name}")
    name = schema["$ref"].rpartition("/")[2]
    body = components.pop(name)
    return {
        "$schema": DIALECT,
        "$id": f"urn:collector:{kind.name}",
        **body,
        "title": kind.name,
        **({"$defs": components} if components else {}),
    }


def schema(name: str | None) -> str:
    """One type's schema, or an object of all of them by name. Raises UserError for a type that there is not."""
    kinds = event_types()
    if name is None:
        return json.dumps({each: json_schema(kind) for each, kind in kinds.items()}, indent=2)
    if name not in kinds:
        raise UserError(f"there is no type {name}: there are {', '.join(kinds)}")
    return json.dumps(json_schema(kinds[name]), indent=2)
