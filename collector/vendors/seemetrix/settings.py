"""The settings of a Seemetrix source."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from collector.model import Account
from collector.secrets import Secret
from collector.settings import Count
from collector.vendors.source import ChosenStreams, HistorySettings, Positive, SourceSettings, Span, StreamSettings

Identifier = Annotated[Count, Field(ge=0)]


class SessionsSettings(HistorySettings):
    """`[sources.<name>.streams.sessions]`."""

    interval: Positive = timedelta(seconds=60)
    settle: Positive = timedelta(minutes=2)  # a session is uploaded within a minute or two of its end
    allowed_lateness: Positive = timedelta(hours=24)  # a device that was offline for a day
    sweep_every: Positive = timedelta(hours=6)
    span: Span = timedelta(hours=6)


class Streams(ChosenStreams):
    """`[sources.<name>.streams]`."""

    sessions: SessionsSettings | None = None

    @property
    def main(self) -> Mapping[str, StreamSettings]:
        return {"sessions": SessionsSettings()}


def _some(ids: tuple[int, ...]) -> tuple[int, ...]:
    if not ids:
        raise ValueError("expected at least one id: leave the key out for every device")
    return ids


class SeemetrixSource(SourceSettings):
    """`[sources.<name>]` with `vendor = "seemetrix"`."""

    vendor: Literal["seemetrix"]
    base_url: str = "https://analytics.3divi.ru/api"
    user_id: Identifier
    user_key: Secret
    device_ids: Annotated[tuple[Identifier, ...], Field(strict=False), AfterValidator(_some)] | None = None
    streams: Streams = Streams()

    @property
    def account(self) -> Account:
        return Account("seemetrix", str(self.user_id))
