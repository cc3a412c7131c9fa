"""The exports of footfall and vehicles of the simulated VidiCenter: of single persons and vehicles, and of periods."""

from collections.abc import Sequence

from collector.simulator.aggregated import Row
from collector.simulator.observed import Observed
from collector.simulator.persons import Person, link_time, local_time
from collector.simulator.vehicles import Vehicle


def footfall(observed: Observed) -> list[Row]:
    return [footfall_row(observed, person) for person in observed.persons]


def footfall_row(observed: Observed, person: Person) -> Row:
    """A person. Without a viewer, the id of the viewer is 0 and its start null."""
    visit = person.visit
    start = link_time(visit.start_ms, observed.zone, visit.number) if person.is_linked else None
    return {
        "location_id": visit.device,
        "period_start": local_time(person.start_ms, observed.zone).isoformat(),
        "footfall_presence_time": person.presence_ms // 100,
        "vr_id": person.vr_id,
        "watcher_id": visit.number if person.is_linked else 0,
        "watcher_start": start,
        "tracking_mode": 0,
    }


def vehicles(observed: Observed) -> list[Row]:
    return [_vehicle_row(observed, vehicle) for vehicle in observed.vehicles]


def _vehicle_row(observed: Observed, vehicle: Vehicle) -> Row:
    return {
        "location_id": vehicle.device,
        "period_start": local_time(vehicle.start_ms, observed.zone).isoformat(),
        "type": vehicle.type,
        "color": vehicle.color,
        "vehicle_presence_time": vehicle.presence_ms // 100,
        "vehicle_impressions": vehicle.persons,
        "impressions_per_vehicle": vehicle.persons,
    }


def vehicles_footfall(observed: Observed) -> list[Row]:
    """Vehicles and persons. A person has the fields of a vehicle, all 0; a vehicle has no field of a person but one."""
    zeros = dict.fromkeys(
        ("type", "color", "vehicle_presence_time", "vehicle_impressions", "impressions_per_vehicle"), 0
    )
    return [
        *({**_vehicle_row(observed, each), "footfall_presence_time": 0} for each in observed.vehicles),
        *({**footfall_row(observed, each), **zeros} for each in observed.persons),
    ]


def footfall_aggregated(observed: Observed) -> list[Row]:
    return [
        {
            "footfall_impressions": len(observed.persons),
            "footfall_presence_time": presence_of(observed.persons),
        }
    ]


def vehicles_aggregated(observed: Observed) -> list[Row]:
    count, impressions = len(observed.vehicles), factored(observed.vehicles)
    return [
        {
            "vehicle_count": count,
            "vehicle_impressions": impressions,
            "vehicle_presence_time": time_of(observed.vehicles),
            "impressions_per_vehicle": impressions / count if count else 0,
        }
    ]


def vehicles_footfall_aggregated(observed: Observed) -> list[Row]:
    [vehicle_row], [person_row] = vehicles_aggregated(observed), footfall_aggregated(observed)
    total = round(factored(observed.vehicles)) + len(observed.persons)
    total_time = time_of(observed.vehicles, per_person=True) + presence_of(observed.persons)
    totals: Row = {
        "total_impressions": total,
        "total_presence_time": total_time,
        "avg_presence_time": total_time // max(1, total),
    }
    return [vehicle_row | person_row | totals]


def presence_of(persons: Sequence[Person]) -> int:
    """The presence of persons in tenths of a second."""
    return sum(each.presence_ms // 100 for each in persons)


def time_of(vehicles: Sequence[Vehicle], *, per_person: bool = False) -> int:
    """The presence of vehicles, or of the persons in them, in tenths of a second."""
    return round(sum(each.presence_ms // 100 * (each.persons if per_person else 1) for each in vehicles))


def factored(vehicles: Sequence[Vehicle]) -> float:
    """The number of persons in vehicles. The integer 0 for none."""
    return round(sum(each.persons for each in vehicles), 4)
