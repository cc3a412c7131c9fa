"""`collector schema`: prints the JSON Schemas of the event types."""

import json
from collections.abc import Iterable

from collector.errors import UserError, suggestion_or_list
from collector.model import EventType
from collector.schemas import event_types, json_schema


def chosen_types(name: str | None) -> Iterable[EventType]:
    """The type of this name, or all types. Raises UserError for an unknown type."""
    types = event_types()
    if name is None:
        return types.values()
    if name not in types:
        hint = suggestion_or_list(name, types, "the types are")
        raise UserError(f"no event type {name}{hint}", code="unknown_type")
    return [types[name]]


def schema(name: str | None, *, draft_07: bool = False) -> str:
    """The schema of a type, or an object with all schemas by name. Raises UserError for an unknown type."""
    schemas = {each.name: json_schema(each, draft_07=draft_07) for each in chosen_types(name)}
    return json.dumps(schemas if name is None else schemas[name], indent=2)
