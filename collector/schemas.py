"""The JSON Schemas of the event types, which are generated from their classes."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from inspect import cleandoc
from typing import Any, get_args

import msgspec

from collector.model import EventType
from collector.pipeline.message import DEAD_LETTER, PROGRESS, CommonFields
from collector.vendors import VENDORS, vocabulary

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DRAFT_07 = "http://json-schema.org/draft-07/schema#"
EXAMPLES = "examples.json"
"""The file with an example message of each type, beside this module. `make schemas` generates it."""
_ENUMS: Mapping[frozenset[str], str] = {
    frozenset(get_args(each)): name for name, each in vars(vocabulary).items() if get_args(each)
}
"""The names of the enumerations that types share, by their values."""


def event_types() -> dict[str, EventType]:
    """Every type that the collector publishes, by name."""
    types = [*(each for vendor in VENDORS.values() for each in vendor.all_types), DEAD_LETTER, PROGRESS]
    return {event_type.name: event_type for event_type in types}


def json_schema(event_type: EventType, *, draft_07: bool = False) -> Schema:
    """The schema of a type's values: JSON Schema 2020-12, or the same in draft-07."""
    keyword = "definitions" if draft_07 else "$defs"
    body, components = value_schemas(event_type, f"#/{keyword}/{{name}}")
    whole = {
        "$schema": DRAFT_07 if draft_07 else DIALECT,
        "$id": f"urn:collector:{event_type.name}",
        **body,
        **({keyword: components} if components else {}),
    }
    return _each(whole, _apart_from_reference) if draft_07 else whole


def value_schemas(event_type: EventType, reference: str) -> tuple[Schema, dict[str, Schema]]:
    """The schema of a type's values, and the schemas of the objects and enumerations in them by name.

    `reference` is the template of `$ref`, with a placeholder `{name}`.
    """
    roots, found = msgspec.json.schema_components([CommonFields, event_type.data], ref_template=reference)
    common, own = (found.pop(root["$ref"].removeprefix(reference.format(name=""))) for root in roots)
    properties = common["properties"] | own["properties"]
    properties["type"]["const"] = event_type.name
    enums: dict[str, Schema] = {}

    def in_style(part: Schema) -> Schema:
        return _with_shared_enum(_with_list_of_types(_with_size(part)), enums, reference)

    body = {
        "title": type_name(event_type),
        "description": cleandoc(own.get("description", "")),
        "type": "object",
        "properties": properties,
        "required": common["required"] + own["required"],
        **({"examples": [example["value"]]} if (example := examples().get(event_type.name)) else {}),
    }
    components = {
        name: {key: value for key, value in each.items() if key != "title"}
        | {"description": cleandoc(each.get("description", ""))}
        for name, each in found.items()
    }
    body = {key: value if key == "examples" else _each(value, in_style) for key, value in body.items()}
    components = {name: _each(each, in_style) for name, each in components.items()}
    return body, dict(sorted((components | enums).items()))


def type_name(event_type: EventType) -> str:
    """The name of a type in code: `SeemetrixSessionV1` for `seemetrix.session.v1`."""
    return "".join(word.capitalize() for word in event_type.name.replace("_", ".").split("."))


@cache
def examples() -> Mapping[str, Any]:
    """An example message of each type, by the name of the type: its `headers` and its `value`."""
    file = files(__package__) / EXAMPLES
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found


def _each(part: Any, change: Callable[[Schema], Schema]) -> Any:  # noqa: ANN401 - JSON
    """A copy in which every object is changed, the innermost ones first."""
    if isinstance(part, list):
        return [_each(each, change) for each in part]
    return change({name: _each(each, change) for name, each in part.items()}) if isinstance(part, dict) else part


def _with_size(part: Schema) -> Schema:
    """Every integer fits into 64 bits, and some, such as ids, do not fit into 32."""
    return part | {"format": "int64"} if part.get("type") == "integer" else part


def _with_list_of_types(part: Schema) -> Schema:
    """A nullable scalar as a list of types instead of alternatives: generators of code make better types of it."""
    match part.get("anyOf"):
        case [{"type": "string" | "integer" | "number" | "boolean"} as scalar, {"type": "null"}] if (
            "enum" not in scalar
        ):
            others = {name: value for name, value in part.items() if name != "anyOf"}
            return {**scalar, "type": [scalar["type"], "null"], **others}
    return part


def _with_shared_enum(part: Schema, enums: dict[str, Schema], reference: str) -> Schema:
    """An enumeration with its type; a shared one as a reference, and added to `enums`."""
    if "enum" not in part:
        return part
    values = part["enum"]
    others = {name: value for name, value in part.items() if name not in ("enum", "type")}
    if (name := _ENUMS.get(frozenset(values))) is None:
        return {"type": "string", "enum": values, **others}
    enums[name] = {"type": "string", "enum": values}
    return {"$ref": reference.format(name=name), **others}


def _apart_from_reference(part: Schema) -> Schema:
    """In draft-07, everything beside a `$ref` is ignored."""
    if "$ref" not in part or len(part) == 1:
        return part
    return {"allOf": [{"$ref": part["$ref"]}], **{name: value for name, value in part.items() if name != "$ref"}}
