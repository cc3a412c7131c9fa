"""Instants: whole seconds, Unix time, and RFC 3339 as events contain it."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with milliseconds and `Z`: `2019-07-01T11:16:07.052Z`."""

SECOND = timedelta(seconds=1)
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNIX_EPOCH_LOCAL = datetime(1970, 1, 1)  # noqa: DTZ001 - the zero of clocks whose zone is not known
MIN_MS = -62135596800000
MAX_MS = 253402300799999
"""The first millisecond of year 1 and the last of year 9999 in Unix time: the range that RFC 3339 can represent."""

_SECONDS = tuple(f"{second:02d}" for second in range(60))
_FRACTIONS = tuple(f".{ms:03d}Z" for ms in range(1000))


@lru_cache(maxsize=4096)  # records of one batch start within a few minutes: ten times as fast as isoformat
def _minute(unix_min: int) -> str:
    return (UNIX_EPOCH + timedelta(minutes=unix_min)).strftime("%Y-%m-%dT%H:%M:").zfill(17)


def format_ms(unix_ms: int) -> Timestamp:
    """Unix milliseconds as `2019-07-01T11:16:07.052Z`. Raises OverflowError outside the years 1 to 9999."""
    rest = unix_ms % 60_000
    return f"{_minute(unix_ms // 60_000)}{_SECONDS[rest // 1000]}{_FRACTIONS[rest % 1000]}"


def format_instant(instant: datetime) -> Timestamp:
    """An aware datetime as `2019-07-01T11:16:07.052Z`."""
    return format_ms(to_ms(instant))


def format_local(local_ms: int) -> str:
    """A local time as `2019-07-01T13:16:07`, with milliseconds if there are any.

    `local_ms` are milliseconds since 1970 on the local clock.
    """
    return format_ms(local_ms).removesuffix("Z").removesuffix(".000")


def format_seconds(instant: datetime) -> str:
    """An instant in UTC as `2019-07-01T11:16:07Z`: for people, and for values that lie on whole seconds."""
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"


def to_ms(instant: datetime) -> int:
    """Unix time in milliseconds, rounded down. A datetime without a zone is treated as UTC."""
    delta = instant - (UNIX_EPOCH if instant.tzinfo else UNIX_EPOCH_LOCAL)
    return delta.days * 86_400_000 + delta.seconds * 1000 + delta.microseconds // 1000


def unix_s(instant: datetime) -> int:
    """Unix time in whole seconds, rounded down."""
    return (instant - UNIX_EPOCH) // SECOND


def floor_second(instant: datetime) -> datetime:
    """The instant without its fraction of a second."""
    return instant.replace(microsecond=0)
