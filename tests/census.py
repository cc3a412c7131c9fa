"""Counts the objects of this process by type, and the containers that have grown: what a leak would show in."""

import gc
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from functools import _lru_cache_wrapper
from typing import Any

import msgspec
from msgspec import Struct

_CONTAINERS = (dict, list, set, deque)


class Census(Struct, frozen=True):
    """The objects of a process at one time."""

    types: Mapping[str, int]
    """How many objects there are of each type."""
    containers: Mapping[int, tuple[str, int]]
    """The type and the length of each container, by its id."""


def census() -> bytes:
    """Count the objects that the garbage collector tracks, and those that they refer to. Returns an encoded census.

    It is one object: otherwise, the next census would count those of this one. Bounded caches are emptied first: they
    grow until they are full, and that is no leak.
    """
    gc.collect()
    for each in gc.get_objects():
        if type(each) is _lru_cache_wrapper and each.cache_parameters()["maxsize"] is not None:
            each.cache_clear()
    gc.collect()
    types, containers = Counter[str](), dict[int, tuple[str, int]]()
    for each in _objects({id(types), id(containers)}):
        name = f"{type(each).__module__}.{type(each).__qualname__}"
        types[name] += 1
        if isinstance(each, _CONTAINERS):
            containers[id(each)] = name, len(each)
    return msgspec.json.encode(Census(types, containers))


def growth(before: bytes, after: bytes, least: int) -> dict[str, int]:
    """The types that have at least so many more objects in the second census, and containers with more items."""
    former, latter = (msgspec.json.decode(each, type=Census) for each in (before, after))
    found = {name: count - former.types.get(name, 0) for name, count in latter.types.items()}
    for each, (name, length) in latter.containers.items():
        former_name, former_length = former.containers.get(each, ("", 0))
        if former_name == name:
            found[f"{name} at {each:#x}"] = length - former_length
    return {name: grown for name, grown in sorted(found.items()) if grown >= least}


def _objects(seen: set[int]) -> Iterator[Any]:
    """Each object once, without those whose ids are in `seen`."""
    waiting = gc.get_objects()
    while waiting:
        found = []
        for each in waiting:
            if id(each) not in seen:
                seen.add(id(each))
                yield each
                found += [other for other in gc.get_referents(each) if not gc.is_tracked(other)]
        waiting = found
