"""The exports of played contents of the simulated VidiCenter.

Each watcher to whom a content was played counts as one play.
"""

from collections.abc import Sequence

from collector.simulator.aggregated import Row, attention_of, content_id, dwell_of, ots_of
from collector.simulator.codes import DEMOGRAPHICS, demographic
from collector.simulator.observed import Observed
from collector.simulator.persons import Person
from collector.simulator.traffic import factored, presence_of, time_of
from collector.simulator.vehicles import Vehicle
from collector.simulator.world import Visit

LONG_ATTENTION_MS = 2000
"""`watchers_2sec` counts the visits with more attention than this."""


def content_plays(observed: Observed) -> list[Row]:
    return [
        {"content_id": name, "content_duration": sum(plays) // 1000, "plays": len(plays)}
        for name, watchers in _watchers(observed).items()
        for plays in [_plays(name, watchers)]
    ]


def proof_of_play(observed: Observed) -> list[Row]:
    """A row for each selected content that had a watcher."""
    return [
        _played(observed, name, watchers, 0.75 * ots_of(watchers) + len(watchers) / 4)
        for name, watchers in _watchers(observed).items()
    ]


def proof_of_play_of_trackers(observed: Observed) -> list[Row]:
    """As `proof_of_play`, with the impressions that the trackers of footfall and vehicles have counted."""
    vehicles_of = _vehicles_by_content(observed)
    return [
        _played(observed, name, watchers, ots_of(watchers) + factored(vehicles_of.get(name, [])))
        for name, watchers in _watchers(observed).items()
    ]


def proof_of_play_of_traffic(observed: Observed) -> list[Row]:
    """A row for each content that had a watcher, with the vehicles and persons that passed while it was played."""
    vehicles_of, persons_of = _vehicles_by_content(observed), dict[tuple[int, int], list[Person]]()
    for person in observed.persons:
        persons_of.setdefault(_id_of(person.visit), []).append(person)
    rows: list[Row] = []
    for name, watchers in _watchers(observed).items():
        footfall = [person for visit in set(map(_id_of, watchers)) for person in persons_of.get(visit, ())]
        vehicles = vehicles_of.get(name, [])
        rows.append(_passed(observed, name, _plays(name, watchers), vehicles, footfall))
    return rows


def _passed(
    observed: Observed,
    name: str | None,
    plays: Sequence[int],
    vehicles: Sequence[Vehicle],
    footfall: Sequence[Person],
) -> Row:
    impressions, vehicle_time, footfall_time = round(factored(vehicles)), time_of(vehicles), presence_of(footfall)
    total, total_time = impressions + len(footfall), time_of(vehicles, per_person=True) + footfall_time
    return {
        "content_id": name,
        "content_duration": sum(plays) / 1000,
        "duration": observed.duration,
        "play_count": len(plays),
        "vehicle_count": len(vehicles),
        "vehicle_impressions": impressions,
        "footfall_impressions": float(len(footfall)),
        "total_impressions": float(total),
        "vehicle_presence_time": vehicle_time,
        "footfall_presence_time": footfall_time,
        "total_presence_time": total_time,
        "avg_vehicle_presence_time": vehicle_time // max(1, len(vehicles)),
        "avg_footfall_presence_time": footfall_time // max(1, len(footfall)),
        "avg_presence_time": total_time // max(1, total),
        "total_impressions_per_play": total / max(1, len(plays)),
    }


def _id_of(visit: Visit) -> tuple[int, int]:
    return visit.device, visit.number


def _watchers(observed: Observed) -> dict[str | None, list[Visit]]:
    """The watchers of each selected content; without data, those of no content."""
    if not observed.has_data:
        return {None: []}
    selected, watchers = observed.request.contents, dict[str | None, list[Visit]]()
    for each in observed.visits:
        for name in dict.fromkeys(content_id(movie) for movie, _, _ in each.plays):
            if selected is None or name in selected:
                watchers.setdefault(name, []).append(each)
    return watchers


def _plays(name: str | None, watchers: Sequence[Visit]) -> list[int]:
    """How long the content was played to each watcher, in milliseconds."""
    return [ms for each in watchers for movie, _, ms in each.plays if content_id(movie) == name]


def _vehicles_by_content(observed: Observed) -> dict[str | None, list[Vehicle]]:
    """The vehicles that passed while a content was played."""
    vehicles_of: dict[str | None, list[Vehicle]] = {}
    for vehicle in observed.vehicles:
        vehicles_of.setdefault(content_id(vehicle.movie), []).append(vehicle)
    return vehicles_of


def _played(observed: Observed, name: str | None, watchers: Sequence[Visit], impressions: float) -> Row:
    plays = _plays(name, watchers)
    row: Row = {
        "content_id": name,
        "content_duration": sum(plays) / 1000,
        "duration": observed.duration,
        "impressions": impressions,
        "play_count": len(plays),
        "watchers": len(watchers),
        "watchers_2sec": sum(each.attention_ms > LONG_ATTENTION_MS for each in watchers),
    }
    if observed.rules.has_old_names:
        return row | {"estimated_ots": impressions}
    count, (dwell, attention) = max(1, len(watchers)), observed.times
    row |= {
        "impressions": int(impressions),
        "impressions_per_play": int(impressions) / max(1, len(plays)),
        dwell: dwell_of(watchers),
        attention: attention_of(watchers),
        f"avg_{dwell}": round(dwell_of(watchers) / count),
        f"avg_{attention}": round(attention_of(watchers) / count),
    }
    if observed.request.is_grouped:
        groups = [demographic(each.gender, each.age) for each in watchers]
        row |= {f"watchers_{group}": groups.count(group) for group in DEMOGRAPHICS}
    return row
