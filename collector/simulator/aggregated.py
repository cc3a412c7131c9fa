"""The aggregated exports of viewers, opportunities to see (OTS) and gates of the simulated VidiCenter.

Each watcher adds some people who only pass by, so there are more opportunities to see than watchers.
"""

from collections.abc import Sequence

from collector.simulator.codes import AGES, GENDERS
from collector.simulator.observed import Observed
from collector.simulator.world import Visit

Row = dict[str, object]
GATES = (1, 2)
DAY_S = 86_400
EFFECTIVE_AT = frozenset({"1h", "1d", "7d", "1M"})
"""The resolutions of `effective_ots_count`."""
STATUS_AT = "15m"
"""The resolution at which `status` is not null."""


def content_id(movie: int) -> str:
    return f"content {movie}"


def viewers(observed: Observed) -> list[Row]:
    """One row, or if grouped one for each gender and age. Times are null in a group without visits."""
    people = observed.visits
    if not observed.request.is_grouped:
        opportunities = ots_of(people)
        ratio = 100 * len(people) / opportunities if opportunities else 0.0
        return [{"watcher_count": len(people), "conversion_ratio": ratio, **times(observed, people)}]
    return [
        {"gender": gender, "age": age, "watcher_count": len(group)}
        | (times(observed, group) if group else dict.fromkeys(observed.times))
        for (gender, age), group in by_codes(people).items()
    ]


def ots(observed: Observed) -> list[Row]:
    row: Row = {
        "ots_count": ots_of(observed.visits),
        "watcher_count": len(observed.visits),
        "duration": float(observed.period_s) if observed.period_s >= DAY_S else observed.duration,
    }
    if observed.rules.has_old_names:
        return [row]
    if observed.request.resolution in EFFECTIVE_AT:
        row["effective_ots_count"] = effective_ots_of(observed.visits)
    return [row | {"status": "running" if observed.request.resolution == STATUS_AT else None}]


def gates(observed: Observed) -> list[Row]:
    """Everyone enters through one gate and leaves through the other."""
    people = observed.visits
    entered = [sum(each.number % len(GATES) == gate - 1 for each in people) for gate in GATES]
    return [
        {"gate_id": gate, "in_count": count, "out_count": len(people) - count, "duration": observed.duration}
        for gate, count in zip(GATES, entered, strict=True)
    ]


def extrapolated_ots(observed: Observed) -> list[Row]:
    return [
        {
            "ots_count": _extrapolated(observed, ots_of(observed.visits)),
            "watcher_count": _extrapolated(observed, len(observed.visits)),
            "duration": observed.duration,
        }
    ]


def extrapolated_watchers(observed: Observed) -> list[Row]:
    people, (dwell, attention) = observed.visits, observed.times
    return [
        {
            "watcher_count": _extrapolated(observed, len(people)),
            dwell: _extrapolated(observed, dwell_of(people)),
            attention: _extrapolated(observed, attention_of(people)),
        }
    ]


def _extrapolated(observed: Observed, total: int) -> float:
    """The total of the sample, projected to the requested number of locations. Whole numbers are integers."""
    amount = 1 if observed.request.amount is None else observed.request.amount
    value = total * amount / len(observed.places)
    return int(value) if value.is_integer() else round(value, 4)


def by_codes(people: Sequence[Visit]) -> dict[tuple[int, int], list[Visit]]:
    """The people of every combination of gender and age, in the order of the codes."""
    groups: dict[tuple[int, int], list[Visit]] = {
        (gender, age): [] for gender in sorted(GENDERS.values()) for age in sorted(AGES.values())
    }
    for each in people:
        groups[GENDERS[each.gender], AGES[each.age]].append(each)
    return groups


def ots_of(people: Sequence[Visit]) -> int:
    return sum(1 + each.number % 4 for each in people)


def effective_ots_of(people: Sequence[Visit]) -> int:
    return sum(1 + each.number % 4 // 2 for each in people)


def dwell_of(people: Sequence[Visit]) -> int:
    """In tenths of a second."""
    return sum(each.dwell_ms // 100 for each in people)


def attention_of(people: Sequence[Visit]) -> int:
    """In tenths of a second."""
    return sum(each.attention_ms // 100 for each in people)


def times(observed: Observed, people: Sequence[Visit]) -> Row:
    """Dwell and attention time."""
    return dict(zip(observed.times, (dwell_of(people), attention_of(people)), strict=True))
