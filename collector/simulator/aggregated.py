"""The aggregated exports of the simulated VidiCenter: rows that count the visits of a period.

Each watcher adds some people who only pass by, so there are more opportunities to see (OTS) than watchers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from collector.simulator.codes import AGES, GENDERS
from collector.simulator.world import Visit

Row = dict[str, object]
STEPS = {
    "5m": timedelta(minutes=5),
    "10m": timedelta(minutes=10),
    "15m": timedelta(minutes=15),
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
MONTH = "1M"
RESOLUTIONS = frozenset({*STEPS, MONTH})
ANCHOR = datetime(2018, 1, 1)  # noqa: DTZ001 - local
"""A Monday, from which periods of several days are counted."""
GATES = (1, 2)
LONG_ATTENTION_MS = 2000
"""`watchers_2sec` counts the visits with more attention than this."""


class Columns(Struct, frozen=True):
    """The names of an export's columns, and the parameters that its rows depend on."""

    dwell: str
    attention: str
    has_estimated_ots: bool
    period_s: float
    """The length of the period."""
    contents: frozenset[str] | None = None
    """The selected contents; None for all."""


Count = Callable[[Sequence[Visit], Columns], list[Row]]
"""Returns the rows of one place and one period, from its visits."""


def periods(resolution: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Local start and end of the periods that overlap the seconds from first to last."""
    start = floor(resolution, first)
    while start <= last:
        end = _next(resolution, start)
        yield start, end
        start = end


def floor(resolution: str, local: datetime) -> datetime:
    """The local start of the period that contains a local time."""
    if resolution == MONTH:
        return local.replace(day=1, hour=0, minute=0, second=0)
    return local - (local - ANCHOR) % STEPS[resolution]


def _next(resolution: str, start: datetime) -> datetime:
    if resolution == MONTH:
        return (start + timedelta(days=31)).replace(day=1)
    return start + STEPS[resolution]


def content_id(movie: int) -> str:
    return f"content {movie}"


def viewers(people: Sequence[Visit], columns: Columns) -> list[Row]:
    opportunities = _ots(people)
    ratio = 100 * len(people) / opportunities if opportunities else 0.0
    return [{"watcher_count": len(people), "conversion_ratio": ratio, **_times(people, columns)}]


def viewers_by_demographics(people: Sequence[Visit], columns: Columns) -> list[Row]:
    """A row for each gender and age. Times are null in a row without visits."""
    return [
        {"gender": gender, "age": age, "watcher_count": len(group)}
        | (_times(group, columns) if group else dict.fromkeys((columns.dwell, columns.attention)))
        for gender in sorted(GENDERS.values())
        for age in sorted(AGES.values())
        for group in [[each for each in people if (GENDERS[each.gender], AGES[each.age]) == (gender, age)]]
    ]


def ots(people: Sequence[Visit], columns: Columns) -> list[Row]:
    return [{"ots_count": _ots(people), "watcher_count": len(people), "duration": columns.period_s}]


def gates(people: Sequence[Visit], columns: Columns) -> list[Row]:
    """Everyone enters through one gate and leaves through the other."""
    entered = [sum(each.number % len(GATES) == gate - 1 for each in people) for gate in GATES]
    return [
        {"gate_id": gate, "in_count": count, "out_count": len(people) - count, "duration": columns.period_s}
        for gate, count in zip(GATES, entered, strict=True)
    ]


def proof_of_play(people: Sequence[Visit], columns: Columns) -> list[Row]:
    """A row for each selected content that had a watcher. Each watcher counts as one play."""
    played: dict[str, list[Visit]] = {}
    for each in people:
        for name in dict.fromkeys(content_id(movie) for movie, _, _ in each.plays):
            if columns.contents is None or name in columns.contents:
                played.setdefault(name, []).append(each)
    return [_played(name, watchers, columns) for name, watchers in played.items()]


def placeholders(count: Count, columns: Columns) -> list[Row]:
    """The rows of a period without data: every number is null."""
    rows = count([], columns) or [_played("", [], columns)]
    dimensions = ("gender", "age", "gate_id")
    return [{name: value if name in dimensions else None for name, value in row.items()} for row in rows]


def _played(name: str, watchers: Sequence[Visit], columns: Columns) -> Row:
    plays = [ms for each in watchers for movie, _, ms in each.plays if content_id(movie) == name]
    impressions = 0.75 * _ots(watchers) + len(watchers) / 4
    row: Row = {
        "content_id": name,
        "content_duration": sum(plays) / 1000,
        "duration": columns.period_s,
        "impressions": impressions,
        "play_count": len(plays),
        "watchers": len(watchers),
        "watchers_2sec": sum(each.attention_ms > LONG_ATTENTION_MS for each in watchers),
    }
    return row | ({"estimated_ots": impressions} if columns.has_estimated_ots else {})


def _ots(people: Sequence[Visit]) -> int:
    return sum(1 + each.number % 4 for each in people)


def _times(people: Sequence[Visit], columns: Columns) -> Row:
    return {
        columns.dwell: sum(each.dwell_ms // 100 for each in people),
        columns.attention: sum(each.attention_ms // 100 for each in people),
    }


COUNTS: Mapping[str, Count] = {
    "viewers": viewers,
    "ots": ots,
    "gate": gates,
    "proof_of_play_by_location": proof_of_play,
    "proof_of_play_by_site": proof_of_play,
}
"""The function that makes the rows of a data type."""
