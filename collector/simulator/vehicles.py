"""The vehicles in front of the screens: a pure function of (seed, device, minute), as visits are."""

from collections.abc import Mapping
from functools import lru_cache
from random import Random

from msgspec import Struct

from collector.simulator.world import MINUTE_MS, World, last_upload_ms

PER_VISIT = 0.5
"""The average number of vehicles per visit of the world's rate. Vehicles pass at all hours alike."""
LONGEST_MS = 60_000
"""The longest presence of a vehicle; shorter if visits are."""
MOVIES = range(8000, 8040)
CAR, BUS, TRUCK, VAN, BIKE = 1, 2, 3, 4, 5
FACTORS: Mapping[int, float] = {CAR: 1.5, BUS: 20.0, TRUCK: 1.0, VAN: 1.2}
"""Persons per vehicle. There is none for bikes and unknown vehicles."""
_COLORS: tuple[int | None, ...] = (0, 1, 2, 3, 4, 5, 6, 7, None, 16777)
"""The codes of colors, no color, and a number that is no documented code."""


class Vehicle(Struct, frozen=True):
    """A vehicle. Times are Unix time in milliseconds, codes are VidiCenter's."""

    device: int
    start_ms: int
    presence_ms: int
    type: int
    """0 unknown, 1 car, 2 bus, 3 truck or SUV, 4 van, 5 bike."""
    color: int | None
    movie: int
    """The number of the content that was played."""
    box_uploaded_ms: int

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.presence_ms

    @property
    def persons(self) -> float:
        """How many persons it counts as. The integer 0 if there is no factor for its type."""
        return FACTORS.get(self.type, 0)


@lru_cache(maxsize=50_000)
def vehicles_in_minute(world: World, place: int, minute: int) -> tuple[Vehicle, ...]:
    """The vehicles that arrive at a place in a minute, counted from 1970. A few of them are twice in it."""
    random = Random(f"{world.seed}/{place}/vehicles/{minute}")
    count = int(world.rate * PER_VISIT / 60 + random.random())
    arrived = [_vehicle(world, random, place, minute * MINUTE_MS + random.randrange(MINUTE_MS)) for _ in range(count)]
    return tuple(each for each in arrived for _ in range(2 if each.start_ms % 33 == 0 else 1))


def _vehicle(world: World, random: Random, place: int, start_ms: int) -> Vehicle:
    pace = world.pace
    presence_ms = min(100 + int(random.expovariate(1 / 5000)), LONGEST_MS, int(pace.longest_s * 1000))
    end_ms = start_ms + presence_ms
    is_late = random.random() < pace.late_share
    ready_ms = max(end_ms, start_ms + random.randrange(int(pace.late_s * 1000))) if is_late else end_ms
    return Vehicle(
        device=place,
        start_ms=start_ms,
        presence_ms=presence_ms,
        type=random.choice((0, CAR, CAR, CAR, CAR, BUS, TRUCK, VAN, BIKE)),
        color=random.choice(_COLORS),
        movie=random.choice(MOVIES),
        box_uploaded_ms=last_upload_ms(pace, place, ready_ms) + int(pace.upload_every_s * 1000),
    )
