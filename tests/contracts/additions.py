"""What a new release may change in a type that consumers already read: it may add fields, and nothing else."""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_WORDS = {"$schema", "$id", "$defs", "title", "description"}
"""What does not say what a value may be."""
_PARTS = {"properties", "required", "anyOf", "items"}
"""What is compared in a way of its own; all the rest must be equal."""


def breaks(before: Schema, after: Schema) -> list[str]:
    """What is more than an addition, each with its place; empty when a consumer of the one can read the other."""
    return list(_breaks("$", _resolved(before, before), _resolved(after, after)))


def _resolved(part: Any, whole: Schema) -> Any:  # noqa: ANN401 - JSON
    """With what is referred to in the place of the reference: an object may get another name."""
    if isinstance(part, list):
        return [_resolved(each, whole) for each in part]
    if not isinstance(part, dict):
        return part
    own = {name: _resolved(each, whole) for name, each in part.items() if name not in ("$ref", "$defs")}
    if "$ref" not in part:
        return own
    return _resolved(whole["$defs"][part["$ref"].removeprefix("#/$defs/")], whole) | own


def _breaks(place: str, before: Schema, after: Schema) -> Iterator[str]:
    if "anyOf" in before or "anyOf" in after:
        yield from _of_alternatives(place, before.get("anyOf", [before]), after.get("anyOf", [after]))
        return
    for name in sorted((before.keys() | after.keys()) - _WORDS - _PARTS):
        was, now = _said(before, name), _said(after, name)
        if was != now:
            yield f"{place}: {name} was {was}, and is {now}"
    yield from _of_fields(place, before, after)
    if "items" in before or "items" in after:
        yield from _breaks(f"{place}[]", before.get("items", {}), after.get("items", {}))


def _of_fields(place: str, before: Schema, after: Schema) -> Iterator[str]:
    for name, field in before.get("properties", {}).items():
        if name not in after.get("properties", {}):
            yield f"{place}.{name}: is gone"
            continue
        yield from _breaks(f"{place}.{name}", field, after["properties"][name])
        if name in before["required"] and name not in after["required"]:
            yield f"{place}.{name}: was always there, and may be missing"


def _of_alternatives(place: str, before: list[Schema], after: list[Schema]) -> Iterator[str]:
    """In any order: each is there still, and none is new."""
    stays = all(any(not list(_breaks(place, each, other)) for other in after) for each in before)
    if not stays or len(before) != len(after):
        yield f"{place}: was {_shown(before)}, and is {_shown(after)}"


def _said(part: Schema, name: str) -> Any:  # noqa: ANN401 - JSON
    """The words of an enum have no order."""
    said = part.get(name)
    return sorted(said) if name == "enum" and said else said


def _shown(alternatives: list[Schema]) -> str:
    return " or ".join(str({name: said for name, said in each.items() if name not in _WORDS}) for each in alternatives)
