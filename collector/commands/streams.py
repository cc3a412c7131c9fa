"""The stream that a command's arguments name."""

from typing import Any

from collector.config import Settings
from collector.errors import UserError
from collector.telemetry.vendor import unheard
from collector.vendors import VENDORS
from collector.vendors.base import Stream
from collector.vendors.http import Http


def stream_of(settings: Settings, client: Http, source: str, name: str) -> Stream[Any]:
    """Raises UserError for one that there is not, with those that there are."""
    if source not in settings.sources:
        raise UserError(f"there is no source {source}: there are {', '.join(settings.sources)}")
    chosen = settings.sources[source]
    streams = {each.name: each for each in VENDORS[chosen.vendor].streams(source, chosen, client, unheard())}
    if name not in streams:
        raise UserError(f"{source} has no stream {name}: it has {', '.join(streams)}")
    return streams[name]
