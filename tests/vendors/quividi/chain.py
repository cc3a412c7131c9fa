"""An account with locations in several time zones, on the loopback interface."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from aiohttp import web

from collector.model import Window
from collector.telemetry.vendor import VendorTelemetry, standalone_telemetry
from collector.vendors.http import http
from collector.vendors.quividi.streams import ExportStream, streams
from tests.simulated import SimulatedClock
from tests.vendors.loopback import serving
from tests.vendors.quividi.vidicenter import VidiCenter, json_response, source

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime.fromisoformat("2026-07-15T12:00:00Z")
MORNING = Window(NOW - 4 * HOUR, NOW - 2 * HOUR)
"""08:00 to 10:00 in UTC: from 10:00 in Paris, from 04:00 in New York, from 17:00 in Tokyo."""
NEW_YORK, TOKYO = "America/New_York", "Asia/Tokyo"
ZONES = [{"timezone": NEW_YORK, "sites": [20], "locations": [1]}, {"timezone": TOKYO, "sites": [30]}]


def place(
    number: int, site: int | None = None, *, active: bool = True, silent: timedelta | None = None
) -> dict[str, Any]:
    """A row of `/locations/`. `silent`: how long before NOW it last uploaded; None if that is unknown."""
    uploaded_at = None if silent is None else f"{NOW - silent:%Y-%m-%d %H:%M:%S}"
    return {"id": number, "site_id": site, "active": active, "last_upload_timestamp": uploaded_at}


class Chain(VidiCenter):
    """Serves lists of locations and of tags."""

    def __init__(self, *places: dict[str, Any]) -> None:
        super().__init__(SimulatedClock(NOW))
        self.places: Sequence[dict[str, Any]] = places or [place(1, 30), place(2, 20), place(3, 30), place(4, 10)]
        self.status = 200
        """The status of responses of `/locations/`."""
        self.tables: dict[str, list[dict[str, Any]]] = {}
        self.lists: list[str] = []
        """The paths of the requests of lists."""

    def _respond(self, request: web.BaseRequest) -> web.Response:
        path = request.path.removeprefix("/api/v1")
        if path != "/locations/" and path not in self.tables:
            return super()._respond(request)
        self.lists.append(path)
        if path in self.tables:
            return json_response(200, self.tables[path])
        return json_response(self.status, self.places if self.status == 200 else {"message": "no"})

    def take_requests(self) -> list[tuple[str, str, str, str]]:
        """The selector, the ids, and the local start and end of each request of an export; each once."""
        found = []
        for query in dict.fromkeys(
            query.replace("&force_rebuild=1", "").replace("&status_only=1", "") for query in self.queries
        ):
            values = {name: value for name, [value] in parse_qs(query).items()}
            [selector] = {"locations", "sites", "location_tags", "site_tags"} & values.keys()
            found.append((selector, values[selector], values["start"], values["end"]))
        self.calls.clear()
        return found


@asynccontextmanager
async def shards(
    vendor: Chain, telemetry: VendorTelemetry | None = None, stream: str = "viewers", **settings: object
) -> AsyncIterator[dict[str, ExportStream[Any]]]:
    """The shards of a stream by their names. Without `locations`, the source follows the account."""
    given = {"locations": "all", "streams": {stream: {}}} | settings
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        found = streams("lobby", source(url, **given), client, telemetry or standalone_telemetry())
        yield {each.name: each for each in found if isinstance(each, ExportStream)}


async def requested(vendor: Chain, shard: ExportStream[Any], window: Window = MORNING) -> list[tuple[str, str]]:
    """The selectors and ids that a shard requests for a window."""
    _ = [list(result.records) async for result in shard.fetch(window)]
    return [(selector, ids) for selector, ids, _, _ in vendor.take_requests()]
