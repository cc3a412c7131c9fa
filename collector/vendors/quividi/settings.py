"""The settings of a Quividi source."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from collector.model import Account
from collector.secrets import Secret
from collector.settings import Count
from collector.vendors.source import ChosenStreams, HistorySettings, Positive, SourceSettings, Span, StreamSettings

Identifier = Annotated[Count, Field(ge=0)]


class ViewersSettings(HistorySettings):
    """`[sources.<name>.streams.viewers]`."""

    interval: Positive = timedelta(minutes=15)  # an export costs the vendor something, and boxes upload twice an hour
    settle: Positive = timedelta(minutes=45)  # boxes upload about every 30 minutes
    allowed_lateness: Positive = timedelta(days=3)  # a box that was offline over a weekend
    sweep_every: Positive = timedelta(hours=12)
    span: Span = timedelta(days=1)


class Streams(ChosenStreams):
    """`[sources.<name>.streams]`."""

    viewers: ViewersSettings | None = None

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        return {"viewers": ViewersSettings()}


def _some(ids: tuple[int, ...]) -> tuple[int, ...]:
    if not ids:
        raise ValueError("expected at least one id, or no such key")
    return ids


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # of which the last is the one for a zone that there is not
        raise ValueError("expected a time zone of the IANA database, such as Europe/Paris") from None
    return name


Ids = Annotated[tuple[Identifier, ...], Field(strict=False), AfterValidator(_some)]


class QuividiSource(SourceSettings):
    """`[sources.<name>]` with `vendor = "quividi"`."""

    vendor: Literal["quividi"]
    base_url: str = "https://vidicenter.quividi.com/api/v1"
    username: Annotated[str, Field(min_length=1)]
    token: Secret
    locations: Ids | None = None
    sites: Ids | None = None
    location_tags: Ids | None = None
    site_tags: Ids | None = None
    timezone: Annotated[str, AfterValidator(_is_zone)]
    """Of the locations: the vendor says no zone anywhere."""
    # What VidiCenter takes: 2 connections from one address and 50 calls a minute of one user.
    max_concurrency: Annotated[Count, Field(ge=1)] = 2
    max_requests_per_minute: Annotated[Count, Field(ge=1)] | None = 50
    streams: Streams = Streams()

    @model_validator(mode="after")
    def _selects_something(self) -> Self:
        if not self.selectors:
            raise ValueError("expected at least one of locations, sites, location_tags and site_tags")
        if ":" in self.username:
            raise ValueError("username: expected a name without a colon")
        return self

    @property
    def account(self) -> Account:
        return Account("quividi", self.username)

    @property
    def selectors(self) -> Mapping[str, tuple[int, ...]]:
        """What is asked for, by the vendor's name of the argument: each id once, in order."""
        given = {
            "locations": self.locations,
            "sites": self.sites,
            "location_tags": self.location_tags,
            "site_tags": self.site_tags,
        }
        return {name: tuple(sorted(set(ids))) for name, ids in given.items() if ids}
