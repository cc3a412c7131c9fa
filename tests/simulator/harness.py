"""The simulated VidiCenter on loopback, a day on which everything is known, and somebody who asks."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import encode_basic_auth, web
from aiohttp.test_utils import TestClient, TestServer
from msgspec import Struct

from collector.simulator.base import Simulation
from collector.simulator.faults import Faults
from collector.simulator.rules import Rules
from collector.simulator.vidicenter import TOKEN, USERNAME, VidiCenter
from collector.simulator.world import Visit, World, as_datetime

DATA, WHOAMI, LOCATIONS = "/api/v1/data/", "/api/v1/whoami/", "/api/v1/locations/"
ACCOUNT = encode_basic_auth(USERNAME, TOKEN)
NOON = datetime(2026, 11, 6, 12, tzinfo=UTC)
"""13:00 in Paris, on a Friday."""
HOUR = {"start": "2026-11-06T13:00:00", "end": "2026-11-06T13:59:59"}
HOUR_MS = 3_600_000
WORLD = World(rate=60, devices=(3024, 3035, 5315))
PLACE = 3024
TENTHS = "_in_tenths_of_sec"

Row = dict[str, Any]
Names = Counter[tuple[str, int, int]]
"""How often somebody came at a local second, and stayed and looked for so many tenths of a second."""


class Vendor(Struct):
    """The vendor, whose time stands still, and somebody who asks it."""

    client: TestClient[web.Request, web.Application]
    vidicenter: VidiCenter
    clock: list[datetime]

    def pass_s(self, seconds: float) -> None:
        self.clock[0] += timedelta(seconds=seconds)

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, auth: str | None = ACCOUNT
    ) -> tuple[int, Any]:
        """Status and body."""
        headers = {} if auth is None else {"Authorization": auth}
        async with self.client.get(path, params=query, headers=headers) as response:
            return response.status, await response.json()

    async def ask(self, **change: str) -> Any:  # noqa: ANN401 - any JSON
        """The answer to a request for the hour's export, or for one that differs."""
        status, body = await self.get(DATA, asking(**change))
        assert 200 == status, body
        return body

    async def export(self, **change: str) -> list[Row]:
        """The rows of a new export, five seconds later."""
        assert {"state": "started"} == await self.ask(**change)
        self.pass_s(5)
        body = await self.ask(**change)
        assert "finished" == body["state"]
        rows: list[Row] = body["data"]
        return rows


def asking(**change: str) -> dict[str, str]:
    places = {"locations": str(PLACE), "data_type": "viewers", "time_resolution": "finest"}
    return {name: value for name, value in (places | HOUR | change).items() if value != "left out"}


@asynccontextmanager
async def serving(
    *, world: World = WORLD, rules: Rules | None = None, faults: Mapping[str, float] | None = None
) -> AsyncIterator[Vendor]:
    """On a free port; it is the evening of the next day, and all of the Friday is uploaded."""
    clock, troubles = [NOON + timedelta(days=1, hours=6)], Faults(faults)
    vidicenter = VidiCenter(Simulation(world, lambda: int(clock[0].timestamp() * 1000), rules or Rules(), troubles))
    app = web.Application(middlewares=[troubles.middleware])
    app.add_routes(vidicenter.routes())
    async with TestClient(TestServer(app)) as client:
        yield Vendor(client, vidicenter, clock)


def happened(place: int = PLACE, hours: int = 1, world: World = WORLD) -> list[Visit]:
    """Those who came from noon on."""
    first_ms = int(NOON.timestamp() * 1000)
    last_ms = first_ms + hours * HOUR_MS - 1
    return [visit for visit in world.between(place, first_ms, last_ms) if first_ms <= visit.start_ms <= last_ms]


def local(visit: Visit) -> str:
    """The second at which it began, in Paris in winter."""
    return (as_datetime(visit.start_ms) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")


def names(visits: Sequence[Visit]) -> Names:
    found = Names()
    for visit in visits:
        found[local(visit), visit.dwell_ms // 100, visit.attention_ms // 100] += 2 if visit.has_twin else 1
    return found


def told(rows: Sequence[Row], suffix: str = TENTHS) -> Names:
    return Names((row["period_start"], row[f"dwell_time{suffix}"], row[f"attention_time{suffix}"]) for row in rows)
