"""Selects the stream that a command's arguments name."""

from typing import Any

from collector.config import Settings
from collector.errors import UserError, did_you_mean
from collector.telemetry.vendor import VendorTelemetry, standalone_telemetry
from collector.vendors import VENDORS
from collector.vendors.base import Stream
from collector.vendors.http import Http


def select_stream(
    settings: Settings, client: Http, source: str, name: str, telemetry: VendorTelemetry | None = None
) -> Stream[Any]:
    """The stream of a source by its name. Raises UserError, with the known names, if either does not exist."""
    if source not in settings.sources:
        suggestion, known = did_you_mean(source, settings.sources), ", ".join(settings.sources)
        text = f"no source {source}{suggestion} in the configuration: its sources are {known}"
        raise UserError(text, code="unknown_source")
    chosen = settings.sources[source]
    streams = {
        each.name: each
        for each in VENDORS[chosen.vendor].streams(source, chosen, client, telemetry or standalone_telemetry(source))
    }
    if name not in streams:
        suggestion, known = did_you_mean(name, streams), ", ".join(streams)
        text = f"source {source} has no stream {name}{suggestion}: its streams are {known}"
        raise UserError(text, code="unknown_stream")
    return streams[name]
