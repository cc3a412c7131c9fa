"""The stream that a command's arguments name."""

from typing import Any

from collector.config import Settings
from collector.errors import UserError, did_you_mean
from collector.telemetry.vendor import VendorTelemetry, standalone_telemetry
from collector.vendors import VENDORS
from collector.vendors.base import Stream
from collector.vendors.http import Http


def stream_of(
    settings: Settings, client: Http, source: str, name: str, telemetry: VendorTelemetry | None = None
) -> Stream[Any]:
    """Raises UserError for one that there is not, with those that there are."""
    if source not in settings.sources:
        there = ", ".join(settings.sources)
        raise UserError(
            f"there is no source {source}{did_you_mean(source, settings.sources)}: the configuration has {there}"
        )
    chosen = settings.sources[source]
    streams = {
        each.name: each
        for each in VENDORS[chosen.vendor].streams(source, chosen, client, telemetry or standalone_telemetry())
    }
    if name not in streams:
        raise UserError(f"{source} has no stream {name}{did_you_mean(name, streams)}: it has {', '.join(streams)}")
    return streams[name]
