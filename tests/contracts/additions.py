"""Compares two schemas of a type. Consumers rely on them, so a new release may only add fields.

An added field is not required, and may be null or has a default: the subjects of a schema registry then stay
compatible. Names that generators of code use, of the type and of its definitions, stay too.
"""

from collections.abc import Iterator
from typing import Any

from tests.contracts.fields import types_of

Schema = dict[str, Any]

_ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "examples"}
"""Keywords that do not restrict values."""
_COMPARED_APART = {"properties", "required", "anyOf", "items"}
"""Keywords with a comparison of their own. All others must be equal."""


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """The changes that are not additions, each with its path. Empty if consumers of the old schema can read the new."""
    return [*_renamed(before, after), *_changes("$", _resolved(before, before), _resolved(after, after))]


def _renamed(before: Schema, after: Schema) -> Iterator[str]:
    if before.get("title") != after.get("title"):
        yield f"$: title changed from {before.get('title')} to {after.get('title')}"
    for name in sorted(before.get("$defs", {}).keys() - after.get("$defs", {}).keys()):
        yield f"$defs.{name}: removed"


def _resolved(part: Any, whole: Schema) -> Any:  # noqa: ANN401 - JSON
    """The schema with references replaced by their targets, since an object may be renamed."""
    if isinstance(part, list):
        return [_resolved(each, whole) for each in part]
    if not isinstance(part, dict):
        return part
    own = {name: _resolved(each, whole) for name, each in part.items() if name not in ("$ref", "$defs")}
    if "$ref" not in part:
        return own
    return _resolved(whole["$defs"][part["$ref"].removeprefix("#/$defs/")], whole) | own


def _changes(path: str, before: Schema, after: Schema) -> Iterator[str]:
    if "anyOf" in before or "anyOf" in after:
        yield from _changes_of_alternatives(path, before.get("anyOf", [before]), after.get("anyOf", [after]))
        if "anyOf" not in before or "anyOf" not in after:
            return
    for name in sorted((before.keys() | after.keys()) - _ANNOTATIONS - _COMPARED_APART):
        was, now = _value(before, name), _value(after, name)
        if was != now:
            yield f"{path}: {name} changed from {was} to {now}"
    yield from _changes_of_fields(path, before, after)
    if "items" in before or "items" in after:
        yield from _changes(f"{path}[]", before.get("items", {}), after.get("items", {}))


def _changes_of_fields(path: str, before: Schema, after: Schema) -> Iterator[str]:
    for name, field in before.get("properties", {}).items():
        if name not in after.get("properties", {}):
            yield f"{path}.{name}: removed"
            continue
        yield from _changes(f"{path}.{name}", field, after["properties"][name])
        if name in before["required"] and name not in after["required"]:
            yield f"{path}.{name}: no longer required"
        if name in after["required"] and name not in before["required"]:
            yield f"{path}.{name}: now required, but earlier messages may lack it"
    for name, field in after.get("properties", {}).items():
        if name in before.get("properties", {}):
            continue
        if name in after["required"]:
            yield f"{path}.{name}: added as a required field"
        if "null" not in types_of(field) and "default" not in field:
            yield f"{path}.{name}: added as a field that cannot be null and has no default"


def _changes_of_alternatives(path: str, before: list[Schema], after: list[Schema]) -> Iterator[str]:
    """The alternatives must be the same, in any order."""
    are_equal = all(any(not list(_changes(path, each, other)) for other in after) for each in before)
    if not are_equal or len(before) != len(after):
        yield f"{path}: changed from {_format(before)} to {_format(after)}"


def _value(part: Schema, name: str) -> Any:  # noqa: ANN401 - JSON
    """The value of a keyword. The values of an enum, and the types of a list, have no order."""
    value = part.get(name)
    return sorted(value, key=str) if isinstance(value, list) and name in ("enum", "type") else value


def _format(alternatives: list[Schema]) -> str:
    return " or ".join(
        str({name: value for name, value in each.items() if name not in _ANNOTATIONS}) for each in alternatives
    )
