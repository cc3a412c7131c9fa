"""What happened in front of the screens: a pure function of (seed, device, minute).

So any history can be asked for, nothing is kept, and the truth is always known. Visits are numbered per device without
a gap: how many there were before a minute is the floor of a curve that can be computed for any minute at once.
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
"""Of half hours, in which a device is not to be reached."""

# Shares of an average hour, from midnight on: people shop after work, and more on a Saturday than on a Sunday.
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
    """How long things take, in seconds."""

    longest_s: float
    """The longest visits: longer than a window is wide."""
    upload_s: float
    """A Seemetrix device uploads a session about so soon after its end."""
    upload_every_s: float
    """A VidiCenter box uploads so often."""
    late_s: float
    """What comes late was begun at most so long before it is there."""
    late_share: float = 0.03


REAL = Pace(longest_s=4 * 3600, upload_s=30, upload_every_s=1800, late_s=20 * 3600)
FAST = Pace(longest_s=10, upload_s=0.5, upload_every_s=2, late_s=15)
"""For demonstrations: all that is late is there after a quarter of a minute."""


class Visit(Struct, frozen=True):
    """A person in front of a screen. Times are Unix time in milliseconds, codes are Seemetrix's."""

    device: int
    number: int
    begin_ms: int
    looks: tuple[tuple[int, int], ...]
    """Whether the person looked, and for how many ms, one after the other."""
    moods: tuple[tuple[int, int], ...]
    """Emotion and ms."""
    plays: tuple[tuple[int, int, int], ...]
    """Movie, begin after that of the visit, ms."""
    gender: int | None
    age: int | None
    years: int
    uploaded_ms: int
    """When a Seemetrix device uploaded it."""
    boxed_ms: int
    """When a VidiCenter box did."""
    has_twin: bool
    """Another person came, looked and went at the same seconds."""

    @property
    def dwell_ms(self) -> int:
        return sum(ms for _, ms in self.looks)

    @property
    def end_ms(self) -> int:
        return self.begin_ms + self.dwell_ms

    @property
    def attention_ms(self) -> int:
        return sum(ms for looking, ms in self.looks if looking)


class World(Struct, frozen=True, dict=True):
    """All of it."""

    seed: int = 1
    devices: tuple[int, ...] = (3024, 3035, 5315)
    rate: float = 60.0
    """Visits an hour at a device, on average."""
    pace: Pace = REAL

    @cached_property
    def _before(self) -> tuple[float, ...]:
        """How many visits there are in a week before each of its minutes."""
        shares = [day * hour for day in _DAYS for hour in _HOURS for _ in range(60)]
        average = sum(shares) / len(shares)
        return (0.0, *accumulate(self.rate / 60 * share / average for share in shares))

    def _count_before(self, device: int, minute: int) -> int:
        weeks, rest = divmod(minute - MONDAY_MINUTE, WEEK_MINUTES)
        phase = Random(f"{self.seed}/{device}").random()
        return floor(weeks * self._before[-1] + self._before[rest] + phase)

    def minute(self, device: int, minute: int) -> tuple[Visit, ...]:
        """Those who came to a device in a minute, counted from 1970; by begin."""
        return _minute(self, device, minute)

    def state(self, device: int, now_ms: int) -> str:
        """A device is online, or offline for half an hour now and then."""
        half_hour = now_ms // (30 * MINUTE_MS)
        return "offline" if Random(f"{self.seed}/{device}/state/{half_hour}").random() < OFFLINE_SHARE else "online"

    def between(self, device: int, first_ms: int, last_ms: int) -> Iterator[Visit]:
        """The visits that may touch `[first_ms, last_ms]`: all that do, and some that do not."""
        reach_ms = int(self.pace.longest_s * 1000)
        for minute in range((first_ms - reach_ms) // MINUTE_MS, last_ms // MINUTE_MS + 1):
            yield from self.minute(device, minute)


@lru_cache(maxsize=100_000)
def _minute(world: World, device: int, minute: int) -> tuple[Visit, ...]:
    first, after = world._count_before(device, minute), world._count_before(device, minute + 1)  # noqa: SLF001
    random = Random(f"{world.seed}/{device}/{minute}")
    begins = sorted(random.randrange(MINUTE_MS) for _ in range(first, after))
    return tuple(
        _visit(world.pace, random, device, number, minute * MINUTE_MS + begin)
        for number, begin in zip(range(first + 1, after + 1), begins, strict=True)
    )


def _visit(pace: Pace, random: Random, device: int, number: int, begin_ms: int) -> Visit:
    stays_s = random.lognormvariate(1.8, 0.9)  # six seconds, for half of them; a few stay for minutes
    if random.random() < 0.003:  # somebody who waits there
        stays_s = random.uniform(pace.longest_s / 4, pace.longest_s)
    dwell_ms = max(100, int(1000 * min(stays_s, pace.longest_s)))
    looks = tuple(_cut(random, dwell_ms, [index % 2 for index in range(random.randrange(1, 6))]))
    moods = tuple(
        _cut(random, dwell_ms, [random.choice((-1, 0, 0, 0, 1, 2, 3)) for _ in range(random.randrange(1, 6))])
    )
    plays = tuple((8000 + random.randrange(40), 0, dwell_ms) for _ in range(random.randrange(3)))
    end_ms = begin_ms + dwell_ms
    late_ms = int(pace.late_s * 1000)
    late = random.random() < pace.late_share
    arrives = (
        begin_ms + random.randrange(late_ms) if late else end_ms + int(1000 * random.expovariate(1 / pace.upload_s))
    )
    every_ms = int(pace.upload_every_s * 1000)
    boxed = last_upload_ms(pace, device, arrives if late else end_ms) + every_ms
    return Visit(
        device=device,
        number=number,
        begin_ms=begin_ms,
        looks=looks,
        moods=moods,
        plays=plays,
        gender=random.choice((0, 0, 0, 1, 1, 1, None)),
        age=random.choice((0, 1, 1, 2, 2, 2, 3, None)),
        years=random.randrange(4, 90),
        uploaded_ms=min(max(arrives, end_ms), max(begin_ms + late_ms, end_ms)),
        boxed_ms=max(boxed, end_ms),
        has_twin=random.random() < 0.03,  # couples, and what the camera takes for two
    )


def last_upload_ms(pace: Pace, device: int, now_ms: int) -> int:
    """When a VidiCenter box uploaded last."""
    every_ms = int(pace.upload_every_s * 1000)
    phase = device * 7919 % every_ms
    return (now_ms - phase) // every_ms * every_ms + phase


def _cut(random: Random, total_ms: int, codes: list[int]) -> Iterator[tuple[int, int]]:
    """The codes one after the other, over so many milliseconds in all."""
    cuts = sorted(random.randrange(total_ms + 1) for _ in codes[1:])
    for code, start, end in zip(codes, [0, *cuts], [*cuts, total_ms], strict=True):
        yield code, end - start


def as_datetime(unix_ms: int) -> datetime:
    """In UTC."""
    return datetime.fromtimestamp(unix_ms // 1000, UTC).replace(microsecond=unix_ms % 1000 * 1000)
