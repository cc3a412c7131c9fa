"""The settings of a Seemetrix source."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from collector.alignment import ANCHOR, ANCHOR_DAYS, periods
from collector.model import Account
from collector.secrets import Secret
from collector.settings import Count, Day, Switch
from collector.vendors.seemetrix.breakdown import LEVEL_OF, UTC_NAME, DateFormat, LevelName
from collector.vendors.seemetrix.offsets import OffsetPeriods, check_whole_hours
from collector.vendors.source import (
    ChosenStreams,
    HistorySettings,
    PositiveDuration,
    SnapshotSettings,
    SourceSettings,
    Span,
    StreamSettings,
)
from collector.vendors.time_zones import ZoneName

Identifier = Annotated[Count, Field(ge=0)]


def _check_levels(levels: tuple[str, ...]) -> tuple[str, ...]:
    if not levels:
        raise ValueError(f"expected at least one of {', '.join(LEVEL_OF)}")
    if len(set(levels)) < len(levels):
        raise ValueError("expected each level once, since the vendor rejects duplicates")
    return levels


class SessionsSettings(HistorySettings):
    """`[sources.<name>.streams.sessions]`."""

    interval: PositiveDuration = timedelta(seconds=60)
    settle: PositiveDuration = timedelta(minutes=2)  # a session is uploaded within a minute or two of its end
    allowed_lateness: PositiveDuration = timedelta(hours=24)  # a device that was offline for a day
    sweep_every: PositiveDuration = timedelta(hours=6)
    span: Span = timedelta(hours=6)


class DevicesSettings(SnapshotSettings):
    """`[sources.<name>.streams.devices]`."""

    interval: PositiveDuration = timedelta(minutes=5)
    include_private: Switch = False
    """Whether events contain the devices' addresses, and the users who have access to them."""


class CountersSettings(SnapshotSettings):
    """`[sources.<name>.streams.counters]`."""

    interval: PositiveDuration = timedelta(minutes=5)


class StatisticsSettings(HistorySettings):
    """`[sources.<name>.streams.statistics]`."""

    interval: PositiveDuration = timedelta(minutes=15)
    settle: PositiveDuration = timedelta(minutes=15)
    allowed_lateness: PositiveDuration = timedelta(hours=24)  # as for sessions, which are counted here
    sweep_every: PositiveDuration = timedelta(hours=6)
    span: Span = timedelta(days=7)
    sex: Switch = False
    age: Switch = False
    movies: Switch = False
    intervals: Switch = False

    @property
    def extras(self) -> Mapping[str, bool]:
        """Whether each optional argument of the request is sent, by its name."""
        return {"sex": self.sex, "age": self.age, "movies": self.movies, "intervals": self.intervals}


class BreakdownSettings(HistorySettings):
    """`[sources.<name>.streams.breakdown]`."""

    interval: PositiveDuration = timedelta(hours=1)
    settle: PositiveDuration = timedelta(hours=1)
    allowed_lateness: PositiveDuration = timedelta(hours=24)  # as for sessions, which are counted here
    sweep_every: PositiveDuration = timedelta(hours=12)
    span: Span = timedelta(days=7)
    levels: Annotated[tuple[LevelName, ...], Field(strict=False), AfterValidator(_check_levels)]
    resolution: Literal["1h", "1d", "7d", "30d", "1M", "3M", "6M"] = "1d"  # the vendor accepts at most six months
    """The length of a period. Each period has a tree of its own."""
    anchor: Day = ANCHOR
    """The day from which periods are counted, in the time zone."""
    dt_format: DateFormat | None = None
    timezone: Annotated[ZoneName, AfterValidator(check_whole_hours)] = UTC_NAME
    """The time zone of periods and dates."""

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.dt_format is not None and "dates" not in self.levels:
            raise ValueError("dt_format needs the level dates in levels")
        if self.anchor.day > ANCHOR_DAYS and self.resolution.endswith("M"):
            raise ValueError(f"anchor: expected a day up to the {ANCHOR_DAYS}th, which every month has")
        return self

    @property
    def date_format(self) -> DateFormat | None:
        """The format of the level `dates`; None without that level."""
        return self.dt_format or ("YYYY-MM-DD" if "dates" in self.levels else None)

    @property
    def alignment(self) -> OffsetPeriods:
        return OffsetPeriods(periods(self.resolution, self.anchor, ZoneInfo(self.timezone)))


class Streams(ChosenStreams):
    """`[sources.<name>.streams]`: the list of the vendor's streams."""

    sessions: SessionsSettings | None = None
    devices: DevicesSettings | None = None
    counters: CountersSettings | None = None
    statistics: StatisticsSettings | None = None
    breakdown: BreakdownSettings | None = None

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        return {"sessions": SessionsSettings()}


def _check_ids(ids: tuple[int, ...]) -> tuple[int, ...]:
    if not ids:
        raise ValueError("expected at least one id; without this key, every device is selected")
    return ids


class SeemetrixSource(SourceSettings):
    """`[sources.<name>]` with `vendor = "seemetrix"`."""

    vendor: Literal["seemetrix"]
    base_url: str = "https://analytics.3divi.ru/api"
    user_id: Identifier
    user_key: Secret
    device_ids: Annotated[tuple[Identifier, ...], Field(strict=False), AfterValidator(_check_ids)] | None = None
    streams: Streams = Streams()

    @property
    def account(self) -> Account:
        return Account("seemetrix", str(self.user_id))
