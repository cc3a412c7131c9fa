"""The statistics of the simulated Seemetrix: visits per hour, and as a tree of levels. Pure functions of visits."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from collector.simulator.world import Visit, as_datetime

HOUR_MS = 3_600_000
OTS_FACTOR = 2
"""Opportunities to see per view."""
_SEXES = {0: "fl", 1: "ml", None: "us"}
_AGES = {0: "k", 1: "m", 2: "m2", 3: "o", None: "u"}
_NAMES: dict[str, dict[int | None, str]] = {
    "genders": {0: "female", 1: "male", None: "undefined"},
    "ages": {0: "kid", 1: "young", 2: "adult", 3: "old", None: "undefined"},
    "emotions": {0: "neutral", 1: "happy", 2: "angry", 3: "surprise", -1: "undefined"},
}
_NODE_TYPES = {"devices": "device", "movies": "movie", "dates": "date"} | {
    "genders": "gender",
    "ages": "age",
    "emotions": "emotion",
}
_FORMATS = {
    "YYYY-MM-DD HH": "%Y-%m-%d %H",
    "YYYY-MM-DD": "%Y-%m-%d",
    "YYYY-MM": "%Y-%m",
    "YYYY": "%Y",
    "MM": "%m",
    "DD": "%u",
    "HH": "%H",
}


def hours(visits: Iterable[Visit], groups: Collection[str], offset_ms: int = 0) -> Iterator[dict[str, object]]:
    """Yield an object for each hour with visits. `groups` selects additional fields: sex, age, movies, intervals.

    `offset_ms` is local time minus UTC, here and in `tree`.
    """
    by_hour: dict[int, list[Visit]] = defaultdict(list)
    for visit in visits:
        by_hour[(visit.start_ms + offset_ms) // HOUR_MS].append(visit)
    for number, in_hour in sorted(by_hour.items()):
        hour = as_datetime(number * HOUR_MS)
        row: dict[str, object] = {"i": {"y": hour.year, "m": hour.month, "d": hour.day, "h": hour.hour}}
        row["t"] = len(in_hour)
        if "sex" in groups:
            row |= dict.fromkeys(_SEXES.values(), 0) | Counter(_SEXES[visit.gender] for visit in in_hour)
        if "age" in groups:
            row |= dict.fromkeys(_AGES.values(), 0) | Counter(_AGES[visit.age] for visit in in_hour)
        if "sex" in groups and "age" in groups:
            row |= Counter(_SEXES[visit.gender][0] + _AGES[visit.age] for visit in in_hour)
        if "movies" in groups:
            played = sum(len(visit.plays) for visit in in_hour)
            row |= {"v": played, "va": played / len(in_hour)}
        if "intervals" in groups:
            row["ia"] = round(sum(visit.dwell_ms for visit in in_hour) / len(in_hour) / 1000, 2)
        yield row


def tree(
    visits: Sequence[Visit], levels: Sequence[str], dt_format: str, offset_ms: int = 0, *, has_ots: bool = True
) -> list[dict[str, object]]:
    """The nodes of the first level, each with those of the next level below it.

    Nodes have opportunities to see unless they are at or below a level of genders, ages or emotions.
    """
    if not levels:
        return []
    level = levels[0]
    has_ots = has_ots and level not in _NAMES
    groups: dict[str, list[Visit]] = defaultdict(list)
    for visit in visits:
        for name in _groups(visit, level, dt_format, offset_ms):
            groups[name].append(visit)
    nodes = []
    for name, found in sorted(groups.items()):
        children = tree(found, levels[1:], dt_format, offset_ms, has_ots=has_ots)
        nodes.append({"n": name, "t": _NODE_TYPES[level], **totals(found, has_ots=has_ots), "o": children})
    return nodes


def totals(visits: Sequence[Visit], *, has_ots: bool = True) -> dict[str, object]:
    """The numbers of a node, or of the root."""
    views_ms = sum(visit.dwell_ms for visit in visits)
    ots = {"ots": float(OTS_FACTOR * len(visits)), "otsd": OTS_FACTOR * views_ms} if has_ots else {}
    return {"v": len(visits), "vd": views_ms, **ots}


def _groups(visit: Visit, level: str, dt_format: str, offset_ms: int) -> Iterable[str]:
    """The groups of a level that a visit belongs to; may be empty."""
    by_level: dict[str, Callable[[], Iterable[str]]] = {
        "devices": lambda: [str(visit.device)],
        "movies": lambda: {str(movie) for movie, _, _ in visit.plays},
        "dates": lambda: [as_datetime(visit.start_ms + offset_ms).strftime(_FORMATS[dt_format])],
        "genders": lambda: [_NAMES["genders"][visit.gender]],
        "ages": lambda: [_NAMES["ages"][visit.age]],
        "emotions": lambda: {_NAMES["emotions"][mood] for mood, _ in visit.moods},
    }
    return by_level[level]()


def is_valid_request(levels: Sequence[str], dt_format: str) -> bool:
    """Whether all levels are known and distinct, and the date format is known."""
    return len(set(levels)) == len(levels) > 0 and set(levels) <= _NODE_TYPES.keys() and dt_format in _FORMATS
