"""The settings that every source and every stream has, whatever its vendor."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, field_validator, model_validator

from collector.alignment import MIN_SPAN, Alignment, AnySecond, Snapshot
from collector.model import Account, Policy
from collector.secrets import Secret
from collector.settings import STRICT, Duration, Instant, Switch, at_least
from collector.vendors.http import Limits, is_private

Positive = Annotated[Duration, at_least(timedelta(seconds=1))]
Span = Annotated[Duration, at_least(MIN_SPAN)]


class StreamSettings(BaseModel):
    """What every stream's table has; each kind of stream has its own defaults."""

    model_config = STRICT

    interval: Positive

    def policy(self, until: datetime | None, alignment: Alignment | None = None) -> Policy:
        raise NotImplementedError


class SnapshotSettings(StreamSettings):
    """How a stream is polled that is only ever asked for as it is now."""

    def policy(self, until: datetime | None, alignment: Alignment | None = None) -> Policy:
        at_once = timedelta(0)
        return Policy(
            interval=self.interval,
            settle=at_once,
            allowed_lateness=at_once,
            sweep_every=self.interval,
            span=self.interval,
            until=until,
            alignment=alignment or Snapshot(),
        )


class HistorySettings(StreamSettings):
    """How a stream is polled that can be asked for its past."""

    settle: Positive
    allowed_lateness: Positive
    sweep_every: Positive
    span: Span

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        for name in ("interval", "settle"):
            if getattr(self, name) >= self.allowed_lateness:
                raise ValueError(f"{name} must be below allowed_lateness")
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
        )


class ChosenStreams(BaseModel):
    """`[sources.<name>.streams]`: a source runs the streams whose tables it has; with none, its vendor's main one."""

    model_config = STRICT

    @property
    def chosen(self) -> Mapping[str, StreamSettings]:
        """The settings by the stream's name."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: each for name, each in given.items() if each is not None} or self.main

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        raise NotImplementedError


class SourceSettings(Limits):
    """What every source has."""

    vendor: str
    base_url: str
    since: Instant | None = None
    until: Instant | None = None
    insecure_http: Switch = False
    streams: ChosenStreams

    @field_validator("base_url")
    @classmethod
    def _is_a_url(cls, base_url: str) -> str:
        try:
            parts = urlsplit(base_url)
            _ = parts.port  # raises for one that is none
        except ValueError:
            raise ValueError("expected a URL such as https://host/api") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("expected a URL such as https://host/api")
        if parts.username is not None or parts.password is not None:
            raise ValueError("expected a URL without a user or password")
        return base_url.rstrip("/")

    @model_validator(mode="after")
    def _keeps_its_keys_private(self) -> Self:
        if not is_private(self.base_url, insecure_http=self.insecure_http):
            raise ValueError("base_url must be https: keys are not sent in the clear (or set insecure_http = true)")
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("since must be before until")
        return self

    @property
    def secrets(self) -> Mapping[str, Secret]:
        """What the account is proved with, by the key that says it."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: each for name, each in given.items() if isinstance(each, Secret)}

    @property
    def account(self) -> Account:
        raise NotImplementedError
