"""The settings that the sources and streams of all vendors have in common."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, ClassVar, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, field_validator, model_validator

from collector.alignment import MIN_SPAN, Alignment, AnySecond, Snapshot
from collector.model import Account, Policy
from collector.secrets import Secret
from collector.settings import (
    STRICT,
    Duration,
    Instant,
    Switch,
    TopicPrefix,
    at_least,
    can_carry_secrets,
    duration_text,
    parse_base_url,
)
from collector.vendors.limits import Limits

PositiveDuration = Annotated[Duration, at_least(timedelta(seconds=1))]
Span = Annotated[Duration, at_least(MIN_SPAN)]


class StreamSettings(BaseModel):
    """The table of a stream, `[sources.<name>.streams.<stream>]`. Each stream has its own defaults."""

    model_config = STRICT

    interval: PositiveDuration
    freshness: PositiveDuration | None = None

    def policy(self, until: datetime | None, alignment: Alignment | None = None) -> Policy:
        """How the stream is polled. `until` is that of the source. Each class has its own default `alignment`."""
        raise NotImplementedError


class SnapshotSettings(StreamSettings):
    """The table of a stream whose vendor only reports the present state. Windows are snapshots."""

    def policy(self, until: datetime | None, alignment: Alignment | None = None) -> Policy:
        none = timedelta(0)
        return Policy(
            interval=self.interval,
            settle=none,
            allowed_lateness=none,
            sweep_every=self.interval,
            span=self.interval,
            until=until,
            alignment=alignment or Snapshot(),
            freshness=self.freshness,
        )


class HistorySettings(StreamSettings):
    """The table of a stream whose vendor serves the past. By default, windows are cut at any second."""

    settle: PositiveDuration
    allowed_lateness: PositiveDuration
    sweep_every: PositiveDuration
    span: Span

    @model_validator(mode="after")
    def _has_intervals_below_allowed_lateness(self) -> Self:
        for name in ("interval", "settle"):
            if getattr(self, name) >= self.allowed_lateness:
                given = f"{name} ({duration_text(getattr(self, name))})"
                raise ValueError(f"{given} must be below allowed_lateness ({duration_text(self.allowed_lateness)})")
        if self.freshness is not None and self.freshness <= self.settle:
            given = f"freshness ({duration_text(self.freshness)})"
            raise ValueError(f"{given} must be above settle ({duration_text(self.settle)})")
        return self

    def policy(self, until: datetime | None, alignment: Alignment | None = None) -> Policy:
        return Policy(
            interval=self.interval,
            settle=self.settle,
            allowed_lateness=self.allowed_lateness,
            sweep_every=self.sweep_every,
            span=self.span,
            until=until,
            alignment=alignment or AnySecond(),
            freshness=self.freshness,
        )


class ChosenStreams(BaseModel):
    """`[sources.<name>.streams]`: the streams whose tables exist; without a table, the vendor's main stream.

    A vendor's subclass has a field for each stream, of its settings class or None. The fields are the list of the
    vendor's streams.
    """

    model_config = STRICT

    @classmethod
    def settings_types(cls) -> Mapping[str, type[StreamSettings]]:
        """The settings class of each of the vendor's streams, by the stream's name."""
        unions = {name: get_args(field.annotation) for name, field in cls.model_fields.items()}
        return {name: next(each for each in union if each is not type(None)) for name, union in unions.items()}

    @property
    def tables(self) -> Mapping[str, StreamSettings]:
        """The settings of the streams that have a table, by the stream's name."""
        tables = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: table for name, table in tables.items() if table is not None}

    @property
    def chosen(self) -> Mapping[str, StreamSettings]:
        """The settings of the vendor's streams to run, by the stream's name."""
        return self.tables or self.main

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        """The stream that runs if none has a table, with its default settings."""
        raise NotImplementedError


class SourceSettings(Limits):
    """The table of a source, `[sources.<name>]`."""

    stream_tables: ClassVar[frozenset[str]] = frozenset({"streams"})
    """The keys whose values are tables of streams: a change there affects the stream of that table only."""

    vendor: str
    base_url: str
    since: Instant | None = None
    until: Instant | None = None
    insecure_http: Switch = False
    topic_prefix: TopicPrefix | None = None
    streams: ChosenStreams

    @field_validator("base_url")
    @classmethod
    def _is_a_url(cls, base_url: str) -> str:
        return parse_base_url(base_url, "https://host/api")

    @model_validator(mode="after")
    def _has_secure_url(self) -> Self:
        if not can_carry_secrets(self.base_url, insecure_http=self.insecure_http):
            raise ValueError("base_url must be https, since plain http exposes the key (or set insecure_http = true)")
        return self

    @model_validator(mode="after")
    def _starts_before_it_ends(self) -> Self:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must be before until")
        return self

    @property
    def chosen(self) -> Mapping[str, StreamSettings]:
        """The settings of the streams to run, by the stream's name, including those that only the source names."""
        return self.streams.chosen

    @property
    def host(self) -> str:
        """The host of `base_url`, with its port if the URL has one."""
        return urlsplit(self.base_url).netloc

    @property
    def secrets(self) -> Mapping[str, Secret]:
        """The credentials, by their key in the source's table."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, Secret)}

    @property
    def account(self) -> Account:
        """The account at the vendor. Its sources share their limits, and one replica runs all of them."""
        raise NotImplementedError
