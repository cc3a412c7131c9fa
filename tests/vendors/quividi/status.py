"""Invented lists of alerts and monitoring messages in the documented forms, and a VidiCenter that serves them."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
from aiohttp import web

from collector.model import FetchResult, Record, Reject, Window
from collector.steps import at_once
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.base import Stream
from collector.vendors.http import http
from collector.vendors.quividi import alerts, monitoring, status_rows
from collector.vendors.quividi.streams import streams
from tests.rows import published_rows
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import serving
from tests.vendors.quividi.vidicenter import BASIC, json_response, source

Row = dict[str, Any]
SEEN_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z, in Unix milliseconds."""
CAP = 1000

ALERTS = b"""[
    {
        "id": 90017, "alert_type": 3, "label": "Input or license errors", "status": "raised",
        "extra_data": "Processing,Input Lost", "network": 7, "site": 178, "location": 8264, "box": 5011,
        "timestamp": "2026-10-31T23:40:00", "host_timestamp": "2026-11-01T09:40:02", "linked_alerthistory": 88123
    },
    {
        "id": 90002, "alert_type": 1, "label": "Upload period", "status": "terminated", "extra_data": "",
        "network": 7, "site": 178, "location": 8866, "box": 5012,
        "timestamp": "2026-10-31T22:10:00", "host_timestamp": "2026-10-31T21:10:00", "linked_alerthistory": null
    }
]"""
MESSAGES = b"""[
    {
        "box": 5011, "location": 8264, "timestamp": "2026-10-31T23:45:00", "host_timestamp": "2026-11-01T09:45:01",
        "status": "running", "vr_status": "Processing,Input Lost", "vr_version": "5.3.1", "cpu_load": 41,
        "fps": "24.9", "avg_luma": "38.0%", "nb_inputlost": 2, "resolution": "1280x720",
        "raw_camera_config": "rtsp://***:***@10.0.0.7:554/live"
    },
    {
        "box": 5012, "location": 8866, "timestamp": "2026-10-31T23:44:00", "host_timestamp": "2026-10-31T22:44:00",
        "status": "running", "vr_status": "Waiting Input", "vr_version": "5.3.1", "cpu_load": 3,
        "fps": "-", "avg_luma": "0.0%", "nb_inputlost": 0, "resolution": "0x0", "raw_camera_config": "usb:0"
    }
]"""


def alert(**changes: object) -> bytes:
    """The first alert with changed fields."""
    return _changed(ALERTS, changes)


def message(**changes: object) -> bytes:
    """The first monitoring message with changed fields."""
    return _changed(MESSAGES, changes)


def _changed(body: bytes, changes: Mapping[str, object]) -> bytes:
    row: Row = msgspec.json.decode(body)[0] | changes
    return msgspec.json.encode({name: value for name, value in row.items() if value is not ...})


def read_alerts(body: bytes, seen_ms: int = SEEN_MS) -> list[Record[alerts.KnownAlert] | Reject]:
    return list(status_rows.read_each(at_once(status_rows.decode(body)), alerts.read_one, seen_ms))


def read_messages(body: bytes, seen_ms: int = SEEN_MS) -> list[Record[monitoring.KnownMessage] | Reject]:
    return list(status_rows.read_each(at_once(status_rows.decode(body)), monitoring.read_one, seen_ms))


class Lists:
    """A VidiCenter that serves lists. Rows newer than `hours` are selected; the latest `cap` of the scope are sent."""

    def __init__(self, rows: Sequence[Row] = (), *, clock: SimulatedClock | None = None, cap: int = CAP) -> None:
        self.clock = clock or SimulatedClock()
        self.rows = list(rows)
        """Rows with `age_h`, the hours for which the vendor has had them; it is not sent."""
        self.cap = cap
        self.locations: Sequence[Row] = [{"id": 8264, "site_id": 178}, {"id": 8866, "site_id": 178}]
        self.calls: list[str] = []
        """Paths below the API's, with their queries."""
        self.override: Callable[[], web.Response] | None = None
        self.refused: Mapping[str, int] = {}
        """The status of the response for each part of the account that is refused, such as `/site/178`."""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.calls.append(request.raw_path.removeprefix("/api/v1"))
        response = self._respond(request)
        response.headers["Date"] = format_datetime(self.clock.now(), usegmt=True)
        return response

    def _respond(self, request: web.BaseRequest) -> web.Response:
        if request.headers.get("Authorization") != f"Basic {BASIC}" or not request.path.endswith("/"):
            return json_response(401, {"message": "Unauthorized", "error": 401})
        if request.path == "/api/v1/locations/":
            return json_response(200, self.locations)
        if self.override is not None:
            return self.override()
        *scope, _ = request.path.removeprefix("/api/v1/").strip("/").split("/")
        if status := self.refused.get("".join(f"/{each}" for each in scope)):
            return json_response(status, {"message": "no", "error": status})
        hours = int(request.query["hours"]) if "hours" in request.query else None
        if hours is not None and not 1 <= hours <= 24:
            return json_response(400, {"message": "hours", "error": 400})
        found = [
            row
            for row in self.rows
            if (not scope or row.get(scope[0]) == int(scope[1])) and (hours is None or row.get("age_h", 0) < hours)
        ]
        found.sort(key=lambda row: row.get("age_h", 0))
        return json_response(200, [{k: v for k, v in row.items() if k != "age_h"} for row in found[: self.cap]])


@asynccontextmanager
async def stream_of(vendor: Lists, name: str = "alerts", **table: object) -> AsyncIterator[Stream[Any]]:
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        [stream] = streams("lobby", source(url, streams={name: table}), client, standalone_telemetry())
        yield stream


async def fetched(stream: Stream[Any], window: Window) -> list[tuple[FetchResult[Any], list[Record[Any] | Reject]]]:
    """The results for a window, each with its rows."""
    return [(result, published_rows(result.records)) async for result in stream.fetch(window)]


def last(hours: float, clock: SimulatedClock | None = None) -> Window:
    """The window of the last hours before now."""
    now = START if clock is None else clock.now()
    return Window(now - timedelta(hours=hours), now)
