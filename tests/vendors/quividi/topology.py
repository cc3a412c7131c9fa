"""Example responses of VidiCenter's lists, with the fields of the vendor's pages, and the streams that fetch them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from collector.model import FetchResult, Record, Reject, Window
from collector.pipeline.message import record_digest
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import SourceStatus
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import Stream
from collector.vendors.http import http
from collector.vendors.quividi.streams import streams
from tests.rows import published_rows, value_of
from tests.simulated import SimulatedClock
from tests.vendors.loopback import Handler, serving
from tests.vendors.quividi.vidicenter import source

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = Window(NOW - timedelta(minutes=1), NOW)
QUOTED_USER = "ann%2Fex%40example.com"

LOCATIONS = b"""[
    {"id": 5120, "site_id": 178, "box_id": 31, "label": "Hall", "description": "by the stairs", "active": true,
     "bm_ignore": false, "creation_date": "2021-03-04T10:11:12", "last_upload_timestamp": "2026-11-01T12:40:03",
     "last_timezone": 3600, "last_seen": "2026-11-01T12:58:00", "last_ots_uploaded": null, "location_type": "indoor",
     "venue_type": "retail", "venue_subtype": "", "id_pointer": "", "id_broadsign_uuid": "b-1",
     "id_broadsign_playerid": "77", "id_broadsign_screenid_v1": "", "id_broadsign_displayunitid": "9"},
    {"id": 5121, "site_id": null, "box_id": null, "label": "Door", "active": false,
     "creation_date": "2017-05-06 07:08:09", "last_upload_timestamp": null, "last_timezone": -240,
     "last_seen": null, "second_id": "A7", "third_id": "", "id_hivestack": "h", "id_vistar": "v", "id_pladway": "p",
     "id_broadsign": 12}
]"""
SITES = b"""[
    {"id": 178, "network_id": 9, "label": "Terminal", "active": true, "address": "1 Main Street", "description": "",
     "venue_type": "airport", "venue_subtype": "gate", "max_active_locations": 12.0, "exclude_from_network_vrc": false,
     "upload_period_alert": 60, "daily_watchers_alert_threshold": 0, "black_input_is_error": true,
     "ignore_low_fps": false}
]"""
BOXES = b"""[
    {"id": 31, "location_id": 5120, "site_id": 178, "label": "box-31", "active": true,
     "last_upload_timestamp": "2026-11-01T12:40:03", "box_mac": 187649984473770,
     "raw_camera_config": "rtsp://***:***@10.1.2.3:554/stream"}
]"""
ZONES = b"""[
    {"id": 9, "location_id": 5120, "name": "Till", "description": "", "type": 2, "presence_threshold": 2.5,
     "created_at": "2026-01-08T09:10:11.123", "updated_at": "2026-02-08T09:10:11.456",
     "coordinates": [{"x": 0, "y": 0.25}, {"x": 0.5, "y": 1}]}
]"""
LOCATION_TAGS = b'[{"id": 5, "network_id": 9, "label": "caf\xc3\xa9 / bar", "extrapolation": false}]'
SITE_TAGS = b'[{"id": 5, "network_id": 9, "label": "south", "extrapolation": true}]'
CLIPS = b"""[
    {"id": 3, "network_id": 9, "clip_id": "spring, 2026/\xce\xb1", "name": "Spring", "description": "Flowers",
     "screenshot": "http://vidicenter.example/media/spring.jpg"},
    {"id": 4, "network_id": 9, "clip_id": "summer", "name": "Summer", "description": "", "screenshot": "",
     "clip_duration": "10.50", "advertiser_name": "Acme", "creative_agency_name": "Studio"}
]"""
RESPONSES: Mapping[str, bytes] = {
    "/api/v1/locations/": LOCATIONS,
    "/api/v1/sites/": SITES,
    "/api/v1/boxes/": BOXES,
    "/api/v1/zones/": ZONES,
    "/api/v1/location_tags/": LOCATION_TAGS,
    "/api/v1/site_tags/": SITE_TAGS,
    "/api/v1/clip/metadata/": CLIPS,
}
PATHS: Mapping[str, tuple[str, ...]] = {
    "locations": ("/api/v1/locations/",),
    "sites": ("/api/v1/sites/",),
    "boxes": ("/api/v1/boxes/",),
    "zones": ("/api/v1/zones/",),
    "tags": ("/api/v1/location_tags/", "/api/v1/site_tags/"),
    "contents": ("/api/v1/clip/metadata/",),
}
"""The paths that each stream requests."""


def vidicenter(changed: Mapping[str, bytes | int] | None = None, seen: list[str] | None = None) -> Handler:
    """Responds with the examples. `changed` are other bodies, or statuses, by path; `seen` collects the requests."""
    responses: Mapping[str, bytes | int] = {**RESPONSES, **(changed or {})}

    async def handler(request: web.BaseRequest) -> web.Response:
        if seen is not None:
            seen.append(f"{request.method} {request.raw_path}")
        response = responses.get(request.path, 404)
        return web.Response(status=response) if isinstance(response, int) else web.Response(body=response)

    return handler


class Reported:
    """What the streams of a source report about its places."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.status = SourceStatus("quividi", "lobby")
        self.telemetry = VendorTelemetry(self.metrics, "lobby", self.status)

    def places(self) -> Mapping[str, float]:
        """The gauge by state."""
        (family,) = (each for each in self.metrics.registry.collect() if each.name == "collector_places")
        return {each.labels["state"]: each.value for each in family.samples}


@asynccontextmanager
async def stream_of(
    handler: Handler, name: str, reported: Reported | None = None, **settings: object
) -> AsyncIterator[Stream[Any]]:
    """The stream of a list, with a clock that stands at NOW."""
    async with serving(handler) as url, http(SimulatedClock(NOW)) as client:
        chosen = source(url, streams={name: {}}, **settings)
        [stream] = streams("lobby", chosen, client, (reported or Reported()).telemetry)
        yield stream


async def result_of(stream: Stream[Any]) -> tuple[FetchResult[Any], list[Record[Any] | Reject]]:
    """The only result of the window, and its rows."""
    [(result, rows)] = [(each, list(published_rows(each.records))) async for each in stream.fetch(MINUTE)]
    return result, rows


def values_of(stream: Stream[Any], rows: list[Record[Any] | Reject], number: int = 0) -> list[dict[str, Any]]:
    """The values of the events of all rows, with their Kafka keys and subjects."""
    found = []
    for row in rows:
        assert isinstance(row, Record), row
        digest = record_digest(stream.dedup_mode, row, number, stream.account)
        found += [
            {"key": event.key, "subject": event.subject, **value_of(event)}
            for event in stream.explode(row, digest, number)
        ]
    return found


async def events(name: str, changed: Mapping[str, bytes | int] | None = None) -> list[dict[str, Any]]:
    """The values of the events of a stream's responses."""
    async with stream_of(vidicenter(changed), name) as stream:
        _, rows = await result_of(stream)
        return values_of(stream, rows)


async def rows_of(name: str, body: bytes) -> tuple[FetchResult[Any], list[Record[Any] | Reject]]:
    """The result and the rows of a stream whose first list is this body."""
    async with stream_of(vidicenter({PATHS[name][0]: body}), name) as stream:
        return await result_of(stream)
