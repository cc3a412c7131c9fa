"""A VidiCenter on loopback, as its document describes it: exports by their exact parameters, in simulated time."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
from aiohttp import web
from msgspec import Struct, structs

from collector.model import FetchResult, Record, Reject, Window
from collector.telemetry.vendor import VendorTelemetry, unreported
from collector.vendors.http import Http, http
from collector.vendors.quividi.client import ExportStream, streams
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.wire import LocatedViewer
from tests.simulated import SimulatedClock
from tests.vendors.loopback import assert_keeps_the_key, let_the_others_run, serving

TOKEN = "s3cr3t t0k&n+/="
USER = "ann/ex@example.com"
HOUR = Window(datetime(2018, 1, 29, 0, tzinfo=UTC), datetime(2018, 1, 29, 1, tzinfo=UTC))
"""That of the document's viewers."""
BASIC = b64encode(f"{USER}:{TOKEN}".encode()).decode()

AT_ONCE = 3
Made = Callable[[Mapping[str, str]], bytes]
Trouble = Callable[[], web.Response]


class Building(Struct, frozen=True):
    """One build of an export."""

    owner: str
    began: datetime
    ends: datetime
    outcome: str


class VidiCenter:
    """Answers as its document says. `trouble` answers in its place: the n-th call for data, or all with an argument."""

    def __init__(self, clock: SimulatedClock | None = None, *, builds_for: timedelta = timedelta(seconds=5)) -> None:
        self.clock = clock or SimulatedClock()
        self.builds_for = builds_for
        self.users = {USER: TOKEN}
        self.owned: Sequence[int] = (1056, 8264, 8866)
        self.data: Made = lambda _: b"[]"
        self.outcome: Callable[[str], str] = lambda _: "finished"
        """Of a build: finished, failed, or `no list`."""
        self.skew = timedelta(0)
        """How far its clock is ahead."""
        self.hesitates = 0
        """How long it takes to answer: so often do all others run."""
        self.trouble: dict[int | str, Trouble] = {}
        self.calls: list[str] = []
        """For data: paths and queries, as they stood on the wire."""
        self.builds: list[Building] = []
        self.exports: dict[tuple[str, str], Building] = {}
        self.most_running = 0
        self.refused = 0
        self.most_connections = 0
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
        """Have an export built, as anybody may who knows the account."""
        now = self.clock.now()
        build = Building(user, now, ends or now + self.builds_for, self.outcome(query))
        self.builds.append(build)
        self.exports[user, query] = build
        self.most_running = max(self.most_running, self.running(user))

    async def answer(self, request: web.BaseRequest) -> web.Response:
        self._connections += 1
        self.most_connections = max(self.most_connections, self._connections)
        try:
            await let_the_others_run(self.hesitates)
            got = self._answered(request)
        finally:
            self._connections -= 1
        got.headers["Date"] = format_datetime(self.clock.now() + self.skew, usegmt=True)
        return got

    def _answered(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/api/v1/data/":
            self.calls.append(request.raw_path)
            for which, trouble in self.trouble.items():
                if which == len(self.calls) - 1 or str(which) in request.query:
                    return trouble()
        headers = {
            f"Basic {b64encode(f'{user}:{token}'.encode()).decode()}": user for user, token in self.users.items()
        }
        user = headers.get(request.headers.get("Authorization", ""))
        if user is None:
            return said(401, {"message": "Unauthorized", "error": 401})
        match request.path:
            case "/api/v1/whoami/":
                return said(200, {"username": user})
            case "/api/v1/locations/":
                return said(200, [{"id": number, "label": "Hall", "active": True} for number in self.owned])
            case "/api/v1/data/":
                return self._export(user, request)
            case _:
                return said(404, {"message": "Not Found", "error": 404})

    def _export(self, user: str, request: web.BaseRequest) -> web.Response:
        query = {name: value for name, value in request.query.items() if name != "force_rebuild"}
        text = "&".join(f"{name}={value}" for name, value in query.items())
        if not {"data_type", "time_resolution", "start", "end"} < query.keys() or query["start"] > query["end"]:
            return said(400, {"message": "Bad Request", "error": 400})
        known = self.exports.get((user, text))
        if known is None or "force_rebuild" in request.query:
            if self.running(user) >= AT_ONCE:
                self.refused += 1
                return said(429, {"message": "Too many exports", "error": 429})
            self.build(text, user=user)
            return said(200, {"state": "started"})
        dated = {"creation_date": f"{known.began:%Y-%m-%d %H:%M:%S}"}
        if self.clock.now() < known.ends:
            return said(200, {"state": "in_progress"} | dated)
        if known.outcome == "failed":
            return said(200, {"state": "failed", "fail_reason": f"no disk left for {user}"} | dated)
        data = b"{}" if known.outcome == "no list" else self.data(query)
        return said(200, {"state": "finished", "data": msgspec.Raw(data)} | dated)


def said(status: int, told: object) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(told), content_type="application/json")


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
    url: str, asking: Http, telemetry: VendorTelemetry | None, **settings: object
) -> ExportStream[LocatedViewer]:
    [viewers] = streams("lobby", source(url, **settings), asking, telemetry or unreported())
    assert isinstance(viewers, ExportStream)
    return viewers


@asynccontextmanager
async def viewers(vendor: VidiCenter, **settings: object) -> AsyncIterator[ExportStream[LocatedViewer]]:
    async with serving(vendor.answer) as url, http(vendor.clock) as asking:
        yield stream(url, asking, None, **settings)


async def ask(viewers: ExportStream[LocatedViewer], window: Window) -> list[FetchResult[LocatedViewer]]:
    """Every answer, its records read."""
    return [structs.replace(answer, records=tuple(answer.records)) async for answer in viewers.fetch(window)]


def records(answers: Sequence[FetchResult[LocatedViewer]]) -> list[Record[LocatedViewer] | Reject]:
    return [record for answer in answers for record in answer.records]


def assert_keeps_the_account(error: Exception) -> None:
    for secret in (TOKEN, USER, BASIC):
        assert_keeps_the_key(error, secret)
