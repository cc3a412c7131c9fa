"""A VidiCenter on the loopback interface, as documented: one export for each set of parameters, in simulated time."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Literal

import msgspec
from aiohttp import web
from msgspec import Struct, structs

from collector.model import FetchResult, Record, Reject, Window
from collector.telemetry.vendor import VendorTelemetry, standalone_telemetry
from collector.vendors.http import Http, http
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.streams import ExportStream, streams
from collector.vendors.quividi.viewers import LocatedViewer
from tests.rows import published_rows
from tests.simulated import SimulatedClock
from tests.vendors.loopback import assert_no_key, serving, yield_to_others

TOKEN = "s3cr3t t0k&n+/="
USER = "ann/ex@example.com"
HOUR = Window(datetime(2018, 1, 29, 0, tzinfo=UTC), datetime(2018, 1, 29, 1, tzinfo=UTC))
"""The hour of the documented viewers."""
BASIC = b64encode(f"{USER}:{TOKEN}".encode()).decode()

MAX_RUNNING = 3
CACHED_FOR = timedelta(hours=24)
MakeRows = Callable[[Mapping[str, str]], bytes]
Override = Callable[[], web.Response]


class Build(Struct, frozen=True):
    """One build of an export."""

    owner: str
    started_at: datetime
    ends: datetime
    outcome: str


class VidiCenter:
    """Responds as documented. `overrides` respond instead, by index of the data request or by name of an argument."""

    def __init__(self, clock: SimulatedClock | None = None, *, builds_for: timedelta = timedelta(seconds=5)) -> None:
        self.clock = clock or SimulatedClock()
        self.builds_for = builds_for
        self.users = {USER: TOKEN}
        self.owned: Sequence[int] = (1056, 8264, 8866)
        self.data: MakeRows = lambda _: b"[]"
        self.outcome: Callable[[str], str] = lambda _: "finished"
        """The outcome of a build: finished, failed, or `no list`."""
        self.skew = timedelta(0)
        """How far the vendor's clock is ahead."""
        self.delay_checkpoints = 0
        """How many times other tasks run before a response."""
        self.status_only: Literal["same", "other export", "refused", "has rows"] = "same"
        """What a call with `status_only` does: it is documented only that its response has no rows."""
        self.overrides: dict[int | str, Override] = {}
        self.calls: list[str] = []
        """Raw paths and queries of the data requests."""
        self.builds: list[Build] = []
        self.exports: dict[tuple[str, str], Build] = {}
        self.max_running = 0
        self.rejected = 0
        self.max_connections = 0
        self._connections = 0

    @property
    def queries(self) -> list[str]:
        return [call.partition("?")[2] for call in self.calls]

    @property
    def forced(self) -> int:
        return sum("force_rebuild" in query for query in self.queries)

    def running(self, user: str = USER) -> int:
        return sum(build.owner == user and self.clock.now() < build.ends for build in self.builds)

    def build(self, query: str, *, user: str = USER, ends: datetime | None = None) -> None:
        """Build an export, as any client of the account may."""
        now = self.clock.now()
        build = Build(user, now, ends or now + self.builds_for, self.outcome(query))
        self.builds.append(build)
        self.exports[user, query] = build
        self.max_running = max(self.max_running, self.running(user))

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self._connections += 1
        self.max_connections = max(self.max_connections, self._connections)
        try:
            await yield_to_others(self.delay_checkpoints)
            response = self._respond(request)
        finally:
            self._connections -= 1
        response.headers["Date"] = format_datetime(self.clock.now() + self.skew, usegmt=True)
        return response

    def _respond(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/api/v1/data/":
            self.calls.append(request.raw_path)
            for which, override in self.overrides.items():
                if which == len(self.calls) - 1 or str(which) in request.query:
                    return override()
        headers = {
            f"Basic {b64encode(f'{user}:{token}'.encode()).decode()}": user for user, token in self.users.items()
        }
        user = headers.get(request.headers.get("Authorization", ""))
        if user is None:
            return json_response(401, {"message": "Unauthorized", "error": 401})
        match request.path:
            case "/api/v1/whoami/":
                return json_response(200, {"username": user})
            case "/api/v1/locations/":
                return json_response(200, [{"id": number, "label": "Hall", "active": True} for number in self.owned])
            case "/api/v1/data/":
                return self._export(user, request)
            case _:
                return json_response(404, {"message": "Not Found", "error": 404})

    def _export(self, user: str, request: web.BaseRequest) -> web.Response:
        without = {"force_rebuild"} if self.status_only == "other export" else {"force_rebuild", "status_only"}
        query = {name: value for name, value in request.query.items() if name not in without}
        if "status_only" in request.query and self.status_only == "refused":
            return json_response(400, {"message": "unknown argument", "error": 400})
        text = "&".join(f"{name}={value}" for name, value in query.items())
        if not {"data_type", "time_resolution", "start", "end"} < query.keys() or query["start"] > query["end"]:
            return json_response(400, {"message": "Bad Request", "error": 400})
        known = self.exports.get((user, text))
        if known is not None and self.clock.now() - known.started_at > CACHED_FOR:
            known = None
        if known is None or "force_rebuild" in request.query:
            if self.running(user) >= MAX_RUNNING:
                self.rejected += 1
                return json_response(429, {"message": "Too many exports", "error": 429})
            self.build(text, user=user)
            return json_response(200, {"state": "started"})
        dated = {"creation_date": f"{known.started_at:%Y-%m-%d %H:%M:%S}"}
        if self.clock.now() < known.ends:
            return json_response(200, {"state": "in_progress"} | dated)
        if known.outcome == "failed":
            return json_response(200, {"state": "failed", "fail_reason": f"no disk left for {user}"} | dated)
        if "status_only" in request.query and self.status_only != "has rows":
            return json_response(200, {"state": "finished"} | dated)
        data = b"{}" if known.outcome == "no list" else self.data(query)
        return json_response(200, {"state": "finished", "data": msgspec.Raw(data)} | dated)


def json_response(status: int, body: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def source(url: str, **settings: object) -> QuividiSource:
    given = {
        "vendor": "quividi",
        "base_url": f"{url}/api/v1",
        "username": USER,
        "token": TOKEN,
        "locations": [1056],
        "timezone": "Europe/Paris",
    }
    return QuividiSource.model_validate(given | settings)


def stream(
    url: str, client: Http, telemetry: VendorTelemetry | None, **settings: object
) -> ExportStream[LocatedViewer]:
    [viewers] = streams("lobby", source(url, **settings), client, telemetry or standalone_telemetry())
    assert isinstance(viewers, ExportStream)
    return viewers


@asynccontextmanager
async def viewers(vendor: VidiCenter, **settings: object) -> AsyncIterator[ExportStream[LocatedViewer]]:
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        yield stream(url, client, None, **settings)


async def fetch_all(viewers: ExportStream[LocatedViewer], window: Window) -> list[FetchResult[LocatedViewer]]:
    """All results, with their records decoded."""
    return [structs.replace(result, records=tuple(result.records)) async for result in viewers.fetch(window)]


def records(results: Sequence[FetchResult[LocatedViewer]]) -> list[Record[LocatedViewer] | Reject]:
    return [record for result in results for record in published_rows(result.records)]


def assert_no_account(error: Exception) -> None:
    for secret in (TOKEN, USER, BASIC):
        assert_no_key(error, secret)
