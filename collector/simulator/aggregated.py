"""What the visits of a period come to, in the aggregated exports of the simulated VidiCenter.

Everyone who looked brings along some who only passed by, so that there are more opportunities to see than watchers.
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
MONDAY = datetime(2018, 1, 1)  # noqa: DTZ001 - local
GATES = (1, 2)
OVER_MS = 2000


class Naming(Struct, frozen=True):
    """The names of a time and a year, and how much is asked for."""

    dwell: str
    attention: str
    has_estimated_ots: bool
    seconds: float
    """How long the period is."""
    contents: frozenset[str] | None = None
    """None: all."""


Count = Callable[[Sequence[Visit], Naming], list[Row]]


def periods(resolution: str, first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Begin and end, local, of the periods that these seconds touch."""
    begin = floor(resolution, first)
    while begin <= last:
        end = _after(resolution, begin)
        yield begin, end
        begin = end


def floor(resolution: str, moment: datetime) -> datetime:
    """When the period began, local."""
    if resolution == MONTH:
        return moment.replace(day=1, hour=0, minute=0, second=0)
    return moment - (moment - MONDAY) % STEPS[resolution]


def _after(resolution: str, begin: datetime) -> datetime:
    if resolution == MONTH:
        return (begin + timedelta(days=31)).replace(day=1)
    return begin + STEPS[resolution]


def content(movie: int) -> str:
    return f"content {movie}"


def viewers(people: Sequence[Visit], naming: Naming) -> list[Row]:
    opportunities = _ots(people)
    ratio = 100 * len(people) / opportunities if opportunities else 0.0
    return [{"watcher_count": len(people), "conversion_ratio": ratio, **_times(people, naming)}]


def viewers_by_demographics(people: Sequence[Visit], naming: Naming) -> list[Row]:
    """A row for each group; where nobody was of it, there are no times."""
    return [
        {"gender": gender, "age": age, "watcher_count": len(group)}
        | (_times(group, naming) if group else dict.fromkeys((naming.dwell, naming.attention)))
        for gender in sorted(GENDERS.values())
        for age in sorted(AGES.values())
        for group in [[each for each in people if (GENDERS[each.gender], AGES[each.age]) == (gender, age)]]
    ]


def ots(people: Sequence[Visit], naming: Naming) -> list[Row]:
    return [{"ots_count": _ots(people), "watcher_count": len(people), "duration": naming.seconds}]


def gates(people: Sequence[Visit], naming: Naming) -> list[Row]:
    """Everyone comes in by one gate and goes out by the other."""
    through = [sum(each.number % len(GATES) == gate - 1 for each in people) for gate in GATES]
    return [
        {"gate_id": gate, "in_count": came, "out_count": len(people) - came, "duration": naming.seconds}
        for gate, came in zip(GATES, through, strict=True)
    ]


def proof_of_play(people: Sequence[Visit], naming: Naming) -> list[Row]:
    """A row for each content that anybody was there for; each time was a play of its own."""
    played: dict[str, list[Visit]] = {}
    for each in people:
        for name in dict.fromkeys(content(movie) for movie, _, _ in each.plays):
            if naming.contents is None or name in naming.contents:
                played.setdefault(name, []).append(each)
    return [_played(name, watchers, naming) for name, watchers in played.items()]


def placeholders(count: Count, naming: Naming) -> list[Row]:
    """Where there is no data: the rows of nobody, without a number."""
    rows = count([], naming) or [_played("", [], naming)]
    kept = ("gender", "age", "gate_id")
    return [{name: value if name in kept else None for name, value in row.items()} for row in rows]


def _played(name: str, watchers: Sequence[Visit], naming: Naming) -> Row:
    plays = [ms for each in watchers for movie, _, ms in each.plays if content(movie) == name]
    impressions = _ots(watchers)
    row: Row = {
        "content_id": name,
        "content_duration": sum(plays) / 1000,
        "duration": naming.seconds,
        "impressions": impressions,
        "play_count": len(plays),
        "watchers": len(watchers),
        "watchers_2sec": sum(each.attention_ms > OVER_MS for each in watchers),
    }
    return row | ({"estimated_ots": impressions} if naming.has_estimated_ots else {})


def _ots(people: Sequence[Visit]) -> int:
    return sum(1 + each.number % 4 for each in people)


def _times(people: Sequence[Visit], naming: Naming) -> Row:
    return {
        naming.dwell: sum(each.dwell_ms // 100 for each in people),
        naming.attention: sum(each.attention_ms // 100 for each in people),
    }


COUNTS: Mapping[str, Count] = {
    "viewers": viewers,
    "ots": ots,
    "gate": gates,
    "proof_of_play_by_location": proof_of_play,
    "proof_of_play_by_site": proof_of_play,
}
"""By data type."""
