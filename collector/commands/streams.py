"""Selects the stream that a command's arguments name."""

from collections.abc import Iterable
from typing import Any

from collector.config import Settings
from collector.errors import UserError, suggestion_or_list
from collector.model import whole_name
from collector.telemetry.vendor import VendorTelemetry, standalone_telemetry
from collector.vendors import VENDORS
from collector.vendors.base import Stream
from collector.vendors.http import Http
from collector.vendors.source import SourceSettings


def select_source(settings: Settings, source: str) -> SourceSettings:
    """The source with this name. Raises UserError, with a suggestion or the known names, if it does not exist."""
    if source not in settings.sources:
        hint = suggestion_or_list(source, settings.sources, "its sources are")
        raise UserError(f"no source {source} in the configuration{hint}", code="unknown_source")
    return settings.sources[source]


def select_stream(
    settings: Settings, client: Http, source: str, name: str, telemetry: VendorTelemetry | None = None
) -> Stream[Any]:
    """The stream of a source by its name. Raises UserError, as `select_source`, if either does not exist."""
    streams = _streams(settings, client, source, telemetry)
    require_stream(source, name, streams)
    return streams[name]


def select_whole_stream(settings: Settings, client: Http, source: str, name: str) -> str:
    """The name of a stream of a source, given it: not that of one of its shards. Raises as `select_stream` does."""
    names = dict.fromkeys(whole_name(each) for each in _streams(settings, client, source))
    require_stream(source, name, names)
    return name


def _streams(
    settings: Settings, client: Http, source: str, telemetry: VendorTelemetry | None = None
) -> dict[str, Stream[Any]]:
    """The streams of a source, each shard by its own name."""
    chosen = select_source(settings, source)
    streams = VENDORS[chosen.vendor].load().streams(source, chosen, client, telemetry or standalone_telemetry(source))
    return {each.name: each for each in streams}


def require_stream(source: str, name: str, names: Iterable[str]) -> None:
    """Raise UserError, with a suggestion or the known names, if a source has no stream of this name."""
    names = list(names)
    if name not in names:
        hint = suggestion_or_list(name, names, "its streams are")
        raise UserError(f"source {source} has no stream {name}{hint}", code="unknown_stream")
