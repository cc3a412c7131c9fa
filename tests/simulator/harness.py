"""The simulated VidiCenter on loopback, a client for it, and the visits of a known day."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import Struct
from yarl import URL

from collector.simulator.base import Simulation
from collector.simulator.faults import Faults
from collector.simulator.rules import Rules
from collector.simulator.vidicenter import TOKEN, USERNAME, VidiCenter
from collector.simulator.world import Visit, World, as_datetime

DATA, WHOAMI, LOCATIONS = "/api/v1/data/", "/api/v1/whoami/", "/api/v1/locations/"
AUTHORIZATION = encode_basic_auth(USERNAME, TOKEN)
NOON = datetime(2026, 11, 6, 12, tzinfo=UTC)
"""13:00 in Paris, on a Friday."""
HOUR = {"start": "2026-11-06T13:00:00", "end": "2026-11-06T13:59:59"}
HOUR_MS = 3_600_000
WORLD = World(rate=60, devices=(3024, 3035, 5315))
PLACE = 3024
TENTHS = "_in_tenths_of_sec"

Row = dict[str, Any]
Viewers = Counter[tuple[str, int, int]]
"""The number of viewers by local start, dwell time and attention time, both in tenths of a second."""


class Vendor(Struct):
    """The vendor and a client. The vendor's time stands still until `advance_s`."""

    client: TestClient[web.Request, web.Application]
    vidicenter: VidiCenter
    clock: list[datetime]

    def advance_s(self, seconds: float) -> None:
        self.clock[0] += timedelta(seconds=seconds)

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, auth: str | None = AUTHORIZATION
    ) -> tuple[int, Any]:
        """Send a request; return status and body."""
        headers = {} if auth is None else {"Authorization": auth}
        async with self.client.get(path, params=query, headers=headers) as response:
            return response.status, await response.json()

    async def request_export(self, **change: str) -> Any:  # noqa: ANN401 - any JSON
        """Request the export of the hour, with changed parameters; return the body of the response."""
        status, body = await self.get(DATA, export_query(**change))
        assert 200 == status, body
        return body

    async def export(self, **change: str) -> list[Row]:
        """Start an export; return its rows, five seconds later."""
        assert {"state": "started"} == await self.request_export(**change)
        self.advance_s(5)
        body = await self.request_export(**change)
        assert "finished" == body["state"]
        rows: list[Row] = body["data"]
        return rows


def export_query(**change: str) -> dict[str, str]:
    """The parameters of the hour's export. The value "left out" removes a parameter."""
    query = {"locations": str(PLACE), "data_type": "viewers", "time_resolution": "finest"}
    return {name: value for name, value in (query | HOUR | change).items() if value != "left out"}


@asynccontextmanager
async def serving(
    *, world: World = WORLD, rules: Rules | None = None, faults: Mapping[str, float] | None = None
) -> AsyncIterator[Vendor]:
    """Serve on a free port. It is the evening of the next day, and every visit of the Friday is uploaded."""
    clock, injected = [NOON + timedelta(days=1, hours=6)], Faults(faults)
    vidicenter = VidiCenter(Simulation(world, lambda: int(clock[0].timestamp() * 1000), rules or Rules(), injected))
    app = web.Application(middlewares=[injected.middleware])
    app.add_routes(vidicenter.routes())
    async with TestClient(TestServer(app)) as client:
        yield Vendor(client, vidicenter, clock)


def visits_at(place: int = PLACE, hours: int = 1, world: World = WORLD) -> list[Visit]:
    """The visits at a place in the hours from noon."""
    first_ms = int(NOON.timestamp() * 1000)
    last_ms = first_ms + hours * HOUR_MS - 1
    return [visit for visit in world.between(place, first_ms, last_ms) if first_ms <= visit.start_ms <= last_ms]


def local(visit: Visit) -> str:
    """The start of a visit, in the local time of Paris in winter."""
    return (as_datetime(visit.start_ms) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")


def viewers_of(visits: Sequence[Visit]) -> Viewers:
    """The viewers of visits; two for a twin."""
    found = Viewers()
    for visit in visits:
        found[local(visit), visit.dwell_ms // 100, visit.attention_ms // 100] += 2 if visit.has_twin else 1
    return found


def viewers_in(rows: Sequence[Row], suffix: str = TENTHS) -> Viewers:
    """The viewers in exported rows."""
    return Viewers((row["period_start"], row[f"dwell_time{suffix}"], row[f"attention_time{suffix}"]) for row in rows)


async def status_of(vendor: Vendor, path: str, verb: str = "GET", auth: str | None = AUTHORIZATION) -> int:
    """Send a request for a path below the base path, percent-encoded as it is; return the status."""
    headers = {} if auth is None else {"Authorization": auth}
    async with vendor.client.request(verb, URL(f"/api/v1{path}", encoded=True), headers=headers) as response:
        return response.status


async def read(vendor: Vendor, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Read a path below the base path, percent-encoded as it is; return the body."""
    url, headers = URL(f"/api/v1{path}", encoded=True), {"Authorization": AUTHORIZATION}
    async with vendor.client.get(url, headers=headers) as response:
        assert 200 == response.status, path
        return await response.json()


def types(row: Row) -> Mapping[str, type]:
    """The types of a row's fields."""
    return {name: type(value) for name, value in row.items()}
