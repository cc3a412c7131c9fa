"""The visits in front of the screens: a pure function of (seed, device, minute).

Any part of the history can be computed at any time and nothing is stored. Visits are numbered per device without gaps:
the number of visits before a minute is the floor of a curve that is computed directly for any minute.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from itertools import accumulate
from math import floor
from random import Random

from msgspec import Struct

MINUTE_MS = 60_000
WEEK_MINUTES = 7 * 24 * 60
MONDAY_MINUTE = 4 * 24 * 60
"""The first Monday of 1970."""
OFFLINE_SHARE = 0.05
"""The share of half hours in which a device is offline."""

# Visits relative to an average hour, from midnight, and to an average day, from Monday: most people shop after work,
# and on Saturdays.
_HOURS = (
    0.1,
    0.1,
    0.1,
    0.1,
    0.1,
    0.2,
    0.4,
    0.8,
    1.0,
    1.1,
    1.2,
    1.5,
    1.8,
    1.7,
    1.5,
    1.5,
    1.7,
    2.2,
    2.4,
    1.9,
    1.2,
    0.7,
    0.4,
    0.3,
)
_DAYS = (0.9, 0.9, 1.0, 1.0, 1.2, 1.4, 0.6)


class Pace(Struct, frozen=True):
    """How long visits and uploads take, in seconds."""

    longest_s: float
    """The longest visit. At the pace `REAL`, it is longer than common windows."""
    upload_s: float
    """Mean time from the end of a session to its upload by a Seemetrix device."""
    upload_every_s: float
    """Interval between the uploads of a VidiCenter box."""
    late_s: float
    """The longest time from the start of a late visit to its upload."""
    late_share: float = 0.03
    """The share of visits that are uploaded late."""


REAL = Pace(longest_s=4 * 3600, upload_s=30, upload_every_s=1800, late_s=20 * 3600)
FAST = Pace(longest_s=10, upload_s=0.5, upload_every_s=2, late_s=15)
"""For demonstrations: late visits are uploaded within 15 seconds of their start."""


class Visit(Struct, frozen=True):
    """A person in front of a screen. Times are Unix time in milliseconds, codes are Seemetrix's.

    A simulated vendor with other codes translates them, as `codes.py` does for VidiCenter.
    """

    device: int
    number: int
    start_ms: int
    looks: tuple[tuple[int, int], ...]
    """Consecutive intervals: 1 if the person looked at the screen, else 0; and the length in milliseconds."""
    moods: tuple[tuple[int, int], ...]
    """Consecutive intervals: emotion (-1 undefined, 0 neutral, 1 happy, 2 angry, 3 surprised), length in ms."""
    plays: tuple[tuple[int, int, int], ...]
    """The number of the movie, its start relative to that of the visit, and its length, both in milliseconds."""
    gender: int | None
    """0 female, 1 male."""
    age: int | None
    """0 child, 1 young adult, 2 adult, 3 senior."""
    years: int
    uploaded_ms: int
    """When a device uploads it that uploads each visit at its end, as those of Seemetrix do."""
    box_uploaded_ms: int
    """When a device uploads it that uploads at intervals, as the boxes of VidiCenter do."""
    has_twin: bool
    """A second person has exactly the same values, so that VidiCenter exports two equal rows."""

    @property
    def dwell_ms(self) -> int:
        return sum(ms for _, ms in self.looks)

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.dwell_ms

    @property
    def attention_ms(self) -> int:
        return sum(ms for looking, ms in self.looks if looking)


class World(Struct, frozen=True, dict=True):
    """A simulated history of visits."""

    seed: int = 1
    devices: tuple[int, ...] = (3024, 3035, 5315)
    rate: float = 60.0
    """Average number of visits per hour and device."""
    pace: Pace = REAL

    @cached_property
    def _before(self) -> tuple[float, ...]:
        """The average number of visits from the start of a week to each of its minutes, and to its end."""
        shares = [day * hour for day in _DAYS for hour in _HOURS for _ in range(60)]
        average = sum(shares) / len(shares)
        return (0.0, *accumulate(self.rate / 60 * share / average for share in shares))

    def _count_before(self, device: int, minute: int) -> int:
        """The number of visits at a device before a minute, relative to a fixed week in 1970."""
        weeks, rest = divmod(minute - MONDAY_MINUTE, WEEK_MINUTES)
        phase = Random(f"{self.seed}/{device}").random()
        return floor(weeks * self._before[-1] + self._before[rest] + phase)

    def minute(self, device: int, minute: int) -> tuple[Visit, ...]:
        """The visits that start at a device in a minute, counted from 1970; ordered by start."""
        return _minute(self, device, minute)

    def state(self, device: int, now_ms: int) -> str:
        """`online` or `offline`. Devices are offline for half an hour at a time."""
        half_hour = now_ms // (30 * MINUTE_MS)
        return "offline" if Random(f"{self.seed}/{device}/state/{half_hour}").random() < OFFLINE_SHARE else "online"

    def between(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        """Every visit at a device that overlaps `[first_ms, last_ms]`, and some that do not; ordered by start."""
        longest_ms = int(self.pace.longest_s * 1000)
        for minute in range((first_ms - longest_ms) // MINUTE_MS, last_ms // MINUTE_MS + 1):
            yield from self.minute(device, minute)

    def starting(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        """Every visit at a device that starts in `[first_ms, last_ms]`, ordered by start."""
        longest_ms = int(self.pace.longest_s * 1000)  # `between` goes back by as much, for those that overlap the span
        for visit in self.between(device, first_ms + longest_ms, last_ms):
            if first_ms <= visit.start_ms <= last_ms:
                yield visit

    def all_between(self, first_ms: int, last_ms: int) -> Iterator[Visit]:
        """The visits of `between` for all devices, one device after the other."""
        for device in self.devices:
            yield from self.between(device, first_ms, last_ms)


@lru_cache(maxsize=100_000)
def _minute(world: World, device: int, minute: int) -> tuple[Visit, ...]:
    first, after = world._count_before(device, minute), world._count_before(device, minute + 1)  # noqa: SLF001
    random = Random(f"{world.seed}/{device}/{minute}")
    starts = sorted(random.randrange(MINUTE_MS) for _ in range(first, after))
    return tuple(
        _visit(world.pace, random, device, number, minute * MINUTE_MS + start)
        for number, start in zip(range(first + 1, after + 1), starts, strict=True)
    )


def _visit(pace: Pace, random: Random, device: int, number: int, start_ms: int) -> Visit:
    dwell_s = random.lognormvariate(1.8, 0.9)  # the median is six seconds; a few visits last for minutes
    if random.random() < 0.003:  # a person who waits in front of the screen
        dwell_s = random.uniform(pace.longest_s / 4, pace.longest_s)
    dwell_ms = max(100, int(1000 * min(dwell_s, pace.longest_s)))
    looks = tuple(_cut(random, dwell_ms, [index % 2 for index in range(random.randrange(1, 6))]))
    moods = tuple(
        _cut(random, dwell_ms, [random.choice((-1, 0, 0, 0, 1, 2, 3)) for _ in range(random.randrange(1, 6))])
    )
    plays = tuple((8000 + random.randrange(40), 0, dwell_ms) for _ in range(random.randrange(3)))
    end_ms = start_ms + dwell_ms
    late_ms = int(pace.late_s * 1000)
    is_late = random.random() < pace.late_share
    uploaded_ms = (
        start_ms + random.randrange(late_ms) if is_late else end_ms + int(1000 * random.expovariate(1 / pace.upload_s))
    )
    every_ms = int(pace.upload_every_s * 1000)
    box_uploaded_ms = last_upload_ms(pace, device, uploaded_ms if is_late else end_ms) + every_ms
    return Visit(
        device=device,
        number=number,
        start_ms=start_ms,
        looks=looks,
        moods=moods,
        plays=plays,
        gender=random.choice((0, 0, 0, 1, 1, 1, None)),
        age=random.choice((0, 1, 1, 2, 2, 2, 3, None)),
        years=random.randrange(4, 90),
        uploaded_ms=min(max(uploaded_ms, end_ms), max(start_ms + late_ms, end_ms)),
        box_uploaded_ms=max(box_uploaded_ms, end_ms),
        has_twin=random.random() < 0.03,  # couples, and one person whom the camera detects as two
    )


def last_upload_ms(pace: Pace, device: int, now_ms: int) -> int:
    """The time of a VidiCenter box's last upload before or at a time."""
    every_ms = int(pace.upload_every_s * 1000)
    phase = device * 7919 % every_ms
    return (now_ms - phase) // every_ms * every_ms + phase


def _cut(random: Random, total_ms: int, codes: list[int]) -> Iterator[tuple[int, int]]:
    """Divide the total at random: each code with a part of it, in order."""
    cuts = sorted(random.randrange(total_ms + 1) for _ in codes[1:])
    for code, start, end in zip(codes, [0, *cuts], [*cuts, total_ms], strict=True):
        yield code, end - start


def as_datetime(unix_ms: int) -> datetime:
    """The instant in UTC."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)


def as_timestamp(unix_ms: int) -> str:
    """The instant as events contain it: `2026-11-01T00:00:00.000Z`."""
    return as_datetime(unix_ms).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
