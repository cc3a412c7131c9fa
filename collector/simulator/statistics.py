"""What Seemetrix counts: visits by the hour, and as trees of levels. Pure: from visits to the bodies of answers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from collector.simulator.world import Visit, as_datetime

HOUR_MS = 3_600_000
OTS_FACTOR = 2
"""So many pass by for each who looks."""
_SEXES = {0: "fl", 1: "ml", None: "us"}
_AGES = {0: "k", 1: "m", 2: "m2", 3: "o", None: "u"}
_WORDS: dict[str, dict[int | None, str]] = {
    "genders": {0: "female", 1: "male", None: "undefined"},
    "ages": {0: "kid", 1: "young", 2: "adult", 3: "old", None: "undefined"},
    "emotions": {0: "neutral", 1: "happy", 2: "angry", 3: "surprise", -1: "undefined"},
}
_KINDS = {"devices": "device", "movies": "movie", "dates": "date"} | {
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


def hours(visits: Iterable[Visit], asked: Collection[str]) -> Iterator[dict[str, object]]:
    """An object for each hour that has visits, with the counters that are asked for besides."""
    by_hour: dict[int, list[Visit]] = defaultdict(list)
    for visit in visits:
        by_hour[visit.begin_ms // HOUR_MS].append(visit)
    for number, found in sorted(by_hour.items()):
        hour = as_datetime(number * HOUR_MS)
        told: dict[str, object] = {"i": {"y": hour.year, "m": hour.month, "d": hour.day, "h": hour.hour}}
        told["t"] = len(found)
        if "sex" in asked:
            told |= dict.fromkeys(_SEXES.values(), 0) | Counter(_SEXES[visit.gender] for visit in found)
        if "age" in asked:
            told |= dict.fromkeys(_AGES.values(), 0) | Counter(_AGES[visit.age] for visit in found)
        if "sex" in asked and "age" in asked:
            told |= Counter(_SEXES[visit.gender][0] + _AGES[visit.age] for visit in found)
        if "movies" in asked:
            told["v"] = sum(len(visit.plays) for visit in found)
        if "intervals" in asked:
            told["ia"] = round(sum(visit.dwell_ms for visit in found) / len(found) / 1000, 2)
        yield told


def tree(
    visits: Sequence[Visit], levels: Sequence[str], dt_format: str, *, above: bool = True
) -> list[dict[str, object]]:
    """The nodes of the first level, and below each those of the next one; `above` ages, genders and emotions is OTS."""
    if not levels:
        return []
    level = levels[0]
    above = above and level not in _WORDS
    groups: dict[str, list[Visit]] = defaultdict(list)
    for visit in visits:
        for name in _names(visit, level, dt_format):
            groups[name].append(visit)
    nodes = []
    for name, found in sorted(groups.items()):
        views_ms = sum(visit.dwell_ms for visit in found)
        node: dict[str, object] = {"n": name, "t": _KINDS[level], "v": len(found), "vd": views_ms}
        if above:
            node |= {"ots": float(OTS_FACTOR * len(found)), "otsd": OTS_FACTOR * views_ms}
        node["o"] = tree(found, levels[1:], dt_format, above=above)
        nodes.append(node)
    return nodes


def _names(visit: Visit, level: str, dt_format: str) -> Iterable[str]:
    """The groups of a level that a visit belongs to, which may be none."""
    by_level: dict[str, Callable[[], Iterable[str]]] = {
        "devices": lambda: [str(visit.device)],
        "movies": lambda: {str(movie) for movie, _, _ in visit.plays},
        "dates": lambda: [as_datetime(visit.begin_ms).strftime(_FORMATS[dt_format])],
        "genders": lambda: [_WORDS["genders"][visit.gender]],
        "ages": lambda: [_WORDS["ages"][visit.age]],
        "emotions": lambda: {_WORDS["emotions"][mood] for mood, _ in visit.moods},
    }
    return by_level[level]()


def is_request(levels: Sequence[str], dt_format: str) -> bool:
    """Whether the vendor knows the levels, each once, and the format."""
    return len(set(levels)) == len(levels) > 0 and set(levels) <= _KINDS.keys() and dt_format in _FORMATS
