"""Each recipe of docs/consumers/sql.md is executed in DuckDB, and returns what is computed here from simulated data."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from collector.schemas import event_types
from collector.simulator.world import Visit, as_datetime
from tests.docs.pages import DOCS, fenced
from tests.sql import published
from tests.sql.engines import DuckDb, duckdb_database, write_lines
from tests.sql.published import FINAL, RENAMED_AT, ZONE

Rows = list[tuple[Any, ...]]
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


def recipes() -> dict[str, str]:
    """The blocks of SQL, by heading and number."""
    _, *parts = _HEADING.split((DOCS / "consumers" / "sql.md").read_text("utf-8"))
    sections = zip(parts[::2], parts[1::2], strict=True)
    return {f"{heading} {n}": block for heading, text in sections for n, block in enumerate(fenced(text, "sql"), 1)}


def newest_sessions() -> list[tuple[Visit, int, list[dict[str, int]] | None]]:
    """Each visit, the newest revision of its session, and the attention intervals of that revision."""
    rows = [(visit, published.session_rows(visit, index)) for index, visit in enumerate(published.visits())]
    return [(visit, len(revisions) - 1, revisions[-1]["at"]) for visit, revisions in rows]


def hour_of(instant: datetime) -> datetime:
    return instant.replace(minute=0, second=0, microsecond=0)


def local_hour(visit: Visit) -> datetime:
    return hour_of(as_datetime(visit.start_ms).astimezone(ZONE).replace(tzinfo=None, fold=0))


def counted(keys: Iterator[tuple[Any, ...]]) -> Rows:
    return sorted(((*key, count) for key, count in Counter(keys).items()), key=_order)


def _order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((each is None, each) for each in row)


def newest_revision() -> Rows:
    return counted((revision,) for _, revision, _ in newest_sessions())


def attention() -> Rows:
    return counted(
        (visit.device, visit.number, revision)
        for visit, revision, intervals in newest_sessions()
        for _ in intervals or ()
    )


def viewers_by_hour() -> Rows:
    return counted(
        (row["location_id"], hour_of(datetime.fromisoformat(row["period_start"]))) for row in published.viewer_rows()
    )


def sessions_by_hour() -> Rows:
    return counted((visit.device, local_hour(visit)) for visit, _, _ in newest_sessions())


def attention_of_sessions() -> Rows:
    sums = defaultdict[int, Counter[str]](Counter)
    for visit, _, intervals in newest_sessions():
        if intervals is not None:
            looked = sum(each["d"] for each in intervals if each["a"])
            sums[visit.device].update(attention=looked, duration=visit.dwell_ms)
    return [(device, each["attention"] / each["duration"]) for device, each in sorted(sums.items())]


def attention_of_viewers() -> Rows:
    sums = defaultdict[int, Counter[str]](Counter)
    for row in published.viewer_rows():
        dwell, looked = row["dwell_time_in_tenths_of_sec"], row["attention_time_in_tenths_of_sec"]
        sums[row["location_id"]].update(attention=looked, dwell=dwell)
    return [(location, each["attention"] / each["dwell"]) for location, each in sorted(sums.items())]


def ots_to_watchers() -> Rows:
    days = defaultdict[Any, list[int]](lambda: [0, 0])
    for hour, ots, watchers in published.ots_counts():
        if ots is not None and watchers is not None:
            day = (published.FIRST + timedelta(hours=hour)).astimezone(ZONE).date()
            days[day] = [days[day][0] + ots, days[day][1] + watchers]
    return [(3024, day, ots, watchers, watchers / ots) for day, (ots, watchers) in sorted(days.items())]


def sessions_with_devices() -> Rows:
    first = published.WORLD.devices[0]
    return counted(
        (visit.device, "Renamed" if visit.device == first else f"Device {visit.device}", "online")
        for visit, _, _ in newest_sessions()
    )


def sessions_with_devices_at_the_time() -> Rows:
    def name(visit: Visit) -> str | None:
        start = as_datetime(visit.start_ms)
        if start < published.FIRST + timedelta(hours=6):
            return None
        is_renamed = visit.device == published.WORLD.devices[0] and start >= RENAMED_AT
        return "Renamed" if is_renamed else f"Device {visit.device}"

    found = ((visit, name(visit)) for visit, _, _ in newest_sessions())
    return counted((visit.device, name, name and "online") for visit, name in found)


def viewers_with_places() -> Rows:
    first, second, unlisted = published.WORLD.devices
    places = {
        first: ("Site 301", first, "Moved"),
        second: ("Site 300", second, f"Location {second}"),
        unlisted: (None, unlisted, None),
    }
    return counted(places[row["location_id"]] for row in published.viewer_rows())


def complete() -> Rows:
    return [("airport", "viewers", "live", hour_of(FINAL)), ("mall", "sessions", "live", hour_of(FINAL))]


def viewers_of_complete_hours() -> Rows:
    starts = ((row["location_id"], as_published(row["period_start"])) for row in published.viewer_rows())
    return counted(("airport", place, hour_of(start)) for place, start in starts if start < hour_of(FINAL))


def as_published(local: str) -> datetime:
    """The start in UTC; of a local time that occurs twice, the first one."""
    return datetime.fromisoformat(local).replace(tzinfo=ZONE).astimezone(UTC)


EXPECTED: dict[str, tuple[str, Callable[[], Rows]]] = {
    "Newest revision 1": ("SELECT revision, count(*) FROM ({}) GROUP BY ALL ORDER BY ALL", newest_revision),
    "Parts of the newest revision 1": (
        "{}; SELECT device_id, session_number, revision, count(*) FROM attention GROUP BY ALL ORDER BY ALL",
        attention,
    ),
    "Viewers by hour and location, in local time 1": ("{}", viewers_by_hour),
    "Viewers by hour and location, in local time 2": ("{}", sessions_by_hour),
    "Attention ratio 1": ("{}", attention_of_sessions),
    "Attention ratio 2": ("{}", attention_of_viewers),
    "OTS to watchers 1": ("{}", ots_to_watchers),
    "Sessions with their devices 1": ("{}", sessions_with_devices),
    "Sessions with their devices 2": ("{}", sessions_with_devices_at_the_time),
    "Viewers with their places 1": ("{}", viewers_with_places),
    "What is complete by now 1": ("{}", complete),
    "What is complete by now 2": ("{}", viewers_of_complete_hours),
}
"""For each recipe, the statement that contains it, and the expected result."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDb]:
    folder = tmp_path_factory.mktemp("recipes")
    with duckdb_database(folder) as opened:
        for name, values in published.by_type().items():
            opened.load(event_types()[name], values)
            write_lines(folder / f"{event_types()[name].topic}.jsonl", values)
        opened.connection.execute(f"SET file_search_path = '{folder}'")
        yield opened


def test_every_recipe_is_tested() -> None:
    assert EXPECTED.keys() == recipes().keys()


@pytest.mark.parametrize("recipe", EXPECTED)
def test_a_recipe_returns_what_was_simulated(recipe: str, database: DuckDb) -> None:
    statement, expected = EXPECTED[recipe]

    got = database.connection.execute(statement.format(recipes()[recipe].rstrip().rstrip(";"))).fetchall()

    truth = expected()
    assert truth
    assert truth == sorted(got, key=_order)
