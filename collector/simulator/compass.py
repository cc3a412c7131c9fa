"""The export of where people go (compass) of the simulated VidiCenter. Shares are decimal strings from 0 to 1."""

from collector.simulator.aggregated import Row, effective_ots_of, ots_of
from collector.simulator.observed import Observed
from collector.simulator.traffic import presence_of

DISTANCES = ("far", "mid_range", "near")
DIRECTIONS = ("north", "north_east", "east", "south_east", "south", "south_west", "west", "north_west")


def compass(observed: Observed) -> list[Row]:
    """Distances share the presence, directions the persons. The shares of an hour without persons are 0."""
    presence = dict.fromkeys(DISTANCES, 0)
    heading = dict.fromkeys(DIRECTIONS, 0)
    for person in observed.persons:
        presence[DISTANCES[person.vr_id % len(DISTANCES)]] += person.presence_ms // 100
        heading[DIRECTIONS[person.vr_id % len(DIRECTIONS)]] += 1
    return [
        {
            "location_name": f"Location {observed.place}",
            "ots_count_impressions": ots_of(observed.visits),
            "nearby_ots_count_impressions": sum(1 + each.number % 4 // 3 for each in observed.visits),
            "effective_ots_count": effective_ots_of(observed.visits),
            "presence_total": presence_of(observed.persons) // 10,
            **_shares(presence),
            **_shares(heading),
        }
    ]


def _shares(counts: dict[str, int]) -> dict[str, str]:
    total = max(1, sum(counts.values()))
    return {name: f"{count / total:.3f}" for name, count in counts.items()}
