"""The exports of retail analytics of the simulated VidiCenter: which zones of a location a person was in.

Of four zones, the location has the first one to four, as in its topology. Which zones a person was in, and when, is
derived from the person's id.
"""

from collections.abc import Iterator

from msgspec import Struct

from collector.simulator.aggregated import Row
from collector.simulator.observed import Observed
from collector.simulator.persons import Person
from collector.simulator.traffic import footfall_row

REGULAR, DOOR_IN, DOOR_OUT, CARPET = range(4)
"""The types of zones."""
NAMES = {REGULAR: "Shelf", DOOR_IN: "Way in", DOOR_OUT: "Way out", CARPET: "Carpet"}
DOORS = (DOOR_IN, DOOR_OUT)


class Zone(Struct, frozen=True):
    id: int
    name: str
    is_door: bool
    threshold_ms: int
    """How long a presence must last to count as above the threshold."""


class Timing(Struct, frozen=True):
    """A presence in a zone, in milliseconds. It starts that long after the whole second in which the person came."""

    start_ms: int
    duration_ms: int


def zones_of(place: int) -> list[Zone]:
    """The zones of a location."""
    kinds = [REGULAR, DOOR_IN, DOOR_OUT, CARPET][: 1 + place % 4]
    return [Zone(place * 10 + kind, NAMES[kind], kind in DOORS, 2500 + 1000 * kind) for kind in kinds]


def visitors(observed: Observed) -> list[Row]:
    """The persons who were in a zone. Rows without clips or passages of doors lack the list and its count."""
    rows: list[Row] = []
    for person in observed.persons:
        zones = zones_of(person.visit.device)
        visits = [_visited(zone, timings) for zone, timings in _timings(person, zones) if not zone.is_door]
        doors = [_visited(zone, timings) for zone, timings in _timings(person, zones) if zone.is_door]
        clips = visits[:1] if person.is_linked else []
        if not visits and not doors:
            continue
        row = footfall_row(observed, person) | {"nb_visits": float(len(visits)), "visits": visits}
        if clips:
            row |= {"nb_clips": float(len(clips)), "clips": clips}
        if doors:
            row |= {"nb_doorpass": float(len(doors)), "doorpass": doors}
        rows.append(row)
    return rows


def zone_counts(observed: Observed) -> list[Row]:
    """A row for each zone that is no door. The impressions are those of the location, the same in each row."""
    zones = zones_of(observed.place)
    found: dict[int, list[list[Timing]]] = {zone.id: [] for zone in zones}
    for person in observed.persons:
        for zone, timings in _timings(person, zones):
            found[zone.id].append(timings)
    return [_counted(observed, zone, found[zone.id]) for zone in zones if not zone.is_door]


def _counted(observed: Observed, zone: Zone, presences: list[list[Timing]]) -> Row:
    durations = [timing.duration_ms for timings in presences for timing in timings]
    above = [duration for duration in durations if duration >= zone.threshold_ms]
    return {
        "zone_id": zone.id,
        "zone_name": zone.name,
        "total_impressions": len(observed.persons),
        "nb_visits": len(presences),
        "nb_visits_above_threshold": sum(
            any(timing.duration_ms >= zone.threshold_ms for timing in timings) for timings in presences
        ),
        "total_dwell_duration": sum(durations) / 1000,
        "total_dwell_above_threshold": sum(above) / 1000,
        "dwell_threshold": zone.threshold_ms / 1000,
    }


def _timings(person: Person, zones: list[Zone]) -> Iterator[tuple[Zone, list[Timing]]]:
    """The presences of a person in the zones. One person of three is not in a zone, one of five twice."""
    for number, zone in enumerate(zones):
        if (person.vr_id + number) % 3 == 0:
            continue
        count = 2 if person.vr_id % 5 == 0 else 1
        part_ms = person.presence_ms // (2 * count)
        offset_ms = person.start_ms % 1000
        yield zone, [Timing(offset_ms + 2 * index * part_ms, part_ms) for index in range(count)]


def _visited(zone: Zone, timings: list[Timing]) -> Row:
    return {
        "id": zone.id,
        "name": zone.name,
        "timings": [{"start": each.start_ms, "duration": each.duration_ms} for each in timings],
    }
