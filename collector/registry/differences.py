"""How a schema differs from the version before it, in words: registries report types of differences."""

from collections.abc import Iterator, Mapping
from typing import Any

_ANNOTATIONS = frozenset({"title", "description", "examples", "default", "$comment"})
"""Keywords that do not restrict values."""
_DEFINITIONS = ("$defs", "definitions")

Schema = Mapping[str, Any]


def differences(before: Any, after: Any) -> str:  # noqa: ANN401 - JSON
    """The fields that were removed, added, changed and are no longer required; empty if there are none.

    A field of an object in the value has the name of its definition: `Gender.name`.
    """
    old, new = _fields(before), _fields(after)
    old_required, new_required = _required(before), _required(after)
    groups = {
        "removes": old.keys() - new.keys(),
        "adds": new.keys() - old.keys(),
        "changes": {name for name in old.keys() & new.keys() if old[name] != new[name]},
        "no longer requires": (old_required - new_required) & new.keys(),
        "newly requires": (new_required - old_required) & old.keys(),
    }
    return ", ".join(f"{verb} {' and '.join(sorted(names))}" for verb, names in groups.items() if names)


def _fields(schema: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The schemas of the fields by name, without annotations."""
    found: dict[str, Any] = {}
    for prefix, part in _objects(schema):
        properties = _mapping(part.get("properties"))
        found |= {f"{prefix}{name}": _restrictions(each) for name, each in properties.items()}
        if prefix and not properties:  # an enum, or another type of values
            found[prefix.removesuffix(".")] = _restrictions(part)
    return found


def _required(schema: Any) -> set[str]:  # noqa: ANN401 - JSON
    found = set[str]()
    for prefix, part in _objects(schema):
        names = part.get("required")
        found |= {f"{prefix}{name}" for name in names} if isinstance(names, list) else set()
    return found


def _objects(schema: Any) -> Iterator[tuple[str, Schema]]:  # noqa: ANN401 - JSON
    """Yield the schema itself and its definitions, each with the prefix of its fields."""
    root = _mapping(schema)
    yield "", root
    for keyword in _DEFINITIONS:
        for name, part in _mapping(root.get(keyword)).items():
            yield f"{name}.", _mapping(part)


def _restrictions(part: Any) -> Any:  # noqa: ANN401 - JSON
    """What a schema says about values."""
    if isinstance(part, list):
        return [_restrictions(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {name: _restrictions(each) for name, each in part.items() if name not in _ANNOTATIONS}


def _mapping(part: Any) -> Schema:  # noqa: ANN401 - JSON
    return part if isinstance(part, dict) else {}
