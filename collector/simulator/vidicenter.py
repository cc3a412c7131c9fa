"""The simulated VidiCenter of Quividi, as its documents describe it: polled exports, limits, and lists."""

from base64 import b64decode
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, takewhile
from random import Random
from typing import ClassVar, cast
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.typedefs import Handler
from msgspec import Struct

from collector.simulator import export_request
from collector.simulator.aggregated import Row
from collector.simulator.base import Simulation
from collector.simulator.export_request import ExportRequest
from collector.simulator.exports import Exports
from collector.simulator.lists import Lists
from collector.simulator.responses import api_error, json_response
from collector.simulator.rules import Rules
from collector.simulator.viewer_rows import viewer
from collector.simulator.world import MINUTE_MS, Visit, as_datetime, as_timestamp

SOURCE = "airport"
USERNAME, TOKEN = Rules().username, "simulated-token"
MAX_RUNNING_EXPORTS = 3
CACHE_MS = 24 * 3600 * 1000
MAX_EXPORTS = 10_000
"""How many exports are cached at most, so that a demonstration does not grow."""
UNLICENSED = {400: web.HTTPBadRequest, 403: web.HTTPForbidden, 404: web.HTTPNotFound}


class _Export(Struct, frozen=True):
    """An export. Its rows are not kept: they are made of the request when they are sent, as of its start."""

    created_ms: int
    ready_ms: int
    parameters: ExportRequest
    failure: str | None


class VidiCenter:
    """The vendor. Its locations are the devices of the world; a site has the locations of ten consecutive numbers."""

    vendor: ClassVar[str] = "quividi"
    source: ClassVar[str] = SOURCE
    base_path: ClassVar[str] = "/api/v1"
    main_stream: ClassVar[str] = "viewers"
    demo_interval: ClassVar[str] = "2s"

    def __init__(self, simulation: Simulation) -> None:
        self._world = simulation.world
        self._now_ms = simulation.now_ms
        self._rules = simulation.rules
        self._faults = simulation.faults
        self._rows = Exports(self._world, self._rules)
        self._lists = Lists(simulation, self._authorize)
        self._place_of_zone = {self._rules.zone_of(place).key: place for place in self._world.devices}
        self._exports: dict[str, _Export] = {}
        self._calls: deque[int] = deque()
        self.calls = 0
        """The number of requests, also of rejected ones."""
        self.bytes_sent = 0
        """The total size of the responses, without headers."""
        self.max_running = 0
        """The largest number of exports that were being built at the same time."""
        self.refused = 0
        """The number of exports that were rejected because too many were being built."""
        self.started = 0
        """The number of exports that were started."""

    def source_table(self) -> Mapping[str, str | int | Sequence[int]]:
        return {
            "vendor": self.vendor,
            "username": self._rules.username,
            "token": TOKEN,
            "locations": self._world.devices,
            "timezone": self._rules.zone,
        }

    def expected_records(self, first_ms: int, last_ms: int) -> Counter[str]:
        """One viewer for each row. Its `record_id` ends with a number that distinguishes equal rows."""
        equal_rows, records = Counter[str](), Counter[str]()
        for visit in self._world.all_between(first_ms, last_ms):
            start = as_timestamp(visit.start_ms // 1000 * 1000)
            times = f"{visit.dwell_ms // 100 * 100}-{visit.attention_ms // 100 * 100}"
            for row in self.viewers(visit):
                about = f"{visit.device}/{row['period_start']}/{row['gender']}-{row['age']}-{times}"
                name = f"{start} quividi/{self._rules.username}/viewer/{about}"
                records[f"{name}/{equal_rows[name]}"] += 1
                equal_rows[name] += 1
        return records

    def routes(self) -> list[web.RouteDef]:
        routes = [
            web.get("/api/v1/data/", self.data),
            web.get("/api/v1/whoami/", self.whoami),
            *self._lists.routes(),
        ]
        return [
            web.RouteDef(each.method, each.path, self._counted(cast("Handler", each.handler)), each.kwargs)
            for each in routes
        ]

    def _counted(self, handler: Handler) -> Handler:
        """The handler, which counts requests and the bytes of their responses."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self.calls += 1
            try:
                response = await handler(request)
            except web.HTTPException as error:
                self.bytes_sent += len(error.text or "")
                raise
            if isinstance(response, web.Response):
                self.bytes_sent += len(response.body or b"") if isinstance(response.body, bytes) else 0
            return response

        return handle

    async def whoami(self, request: web.Request) -> web.Response:
        self._authorize(request)
        return json_response({"username": self._rules.username})

    async def data(self, request: web.Request) -> web.Response:
        """The state of the export with exactly these parameters.

        `force_rebuild` and `status_only` work whatever their values. A request with `status_only` starts an export too.
        """
        self._authorize(request)
        ignored = {"force_rebuild"}
        if self._rules.supports_status_only and not self._rules.has_old_names:
            ignored.add("status_only")
        query = {name: value for name, value in request.query.items() if name not in ignored}
        name, now_ms = urlencode(sorted(query.items())), self._now_ms()
        parameters = self._parse(query, now_ms)
        self._forget(now_ms)
        export = self._exports.get(name)
        if export is None or "force_rebuild" in request.query:
            self._start(name, parameters, now_ms)
            return json_response({"state": "started"})
        created = {"creation_date": f"{as_datetime(export.created_ms):%Y-%m-%d %H:%M:%S}"}
        if export.ready_ms > now_ms:
            return json_response({"state": "in_progress", **created})
        if export.failure is not None:
            return json_response({"state": "failed", "fail_reason": export.failure, **created})
        if "status_only" in request.query and "status_only" in ignored:
            return json_response({"state": "finished", **created})
        rows = list(self.rows(export.parameters, export.created_ms))
        Random(f"{self._world.seed}/{name}/{export.created_ms}").shuffle(rows)
        return json_response({"state": "finished", "data": rows, **created})

    def _start(self, name: str, parameters: ExportRequest, now_ms: int) -> None:
        """Start an export, or start it again. Raises HTTPTooManyRequests."""
        # Exports are in the order of their starts, and take equally long.
        latest = takewhile(lambda each: each[1].ready_ms > now_ms, reversed(self._exports.items()))
        running = sum(other != name for other, _ in latest)
        if running >= MAX_RUNNING_EXPORTS:
            self.refused += 1
            raise api_error(web.HTTPTooManyRequests, "too many exports in parallel")
        self.max_running, self.started = max(self.max_running, running + 1), self.started + 1
        failure = "simulated" if self._faults.happens("failed_export") else None
        if parameters.data_type in self._rules.unlicensed:
            failure = f"{parameters.data_type} is not included in your licence"
        ready_ms = now_ms + int(1000 * self._rules.export_s)
        self._exports.pop(name, None)
        self._exports[name] = _Export(now_ms, ready_ms, parameters, failure)

    def _forget(self, now_ms: int) -> None:
        """Remove the exports that are older than a day, and the oldest ones of too many."""
        for name, export in tuple(islice(self._exports.items(), 1000)):
            is_old = now_ms - export.created_ms > CACHE_MS
            if not is_old and (len(self._exports) <= MAX_EXPORTS or export.ready_ms > now_ms):
                break
            del self._exports[name]

    def rows(self, parameters: ExportRequest, now_ms: int) -> Iterator[Row]:
        """Yield the rows of an export that starts at this time, ordered by location."""
        return self._rows.rows(parameters, now_ms)

    def expected_rows(
        self,
        data_type: str,
        resolution: str,
        first_ms: int,
        last_ms: int,
        options: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """The rows of all places once everything is uploaded, in no particular order.

        Contains what starts in `[first_ms, last_ms)`, and the periods that overlap it, in the local time of each place.
        `options` are further arguments of the export.
        """
        return self._rows.expected_rows(data_type, resolution, first_ms, last_ms, options or {})

    def viewers(self, visit: Visit) -> list[Row]:
        """The rows of a visit: two equal rows if it has a twin."""
        return [viewer(visit, self._rules) for _ in range(2 if visit.has_twin else 1)]

    def _parse(self, query: Mapping[str, str], now_ms: int) -> ExportRequest:
        """The request. Raises HTTPBadRequest, HTTPForbidden, or the error of a data type that is not licensed."""
        try:
            parameters = export_request.parse(query, self._rules)
            for place in self._place_of_zone.values():
                self._rows.unix_ms(parameters.first, place), self._rows.unix_ms(parameters.last, place)
        except (ValueError, OverflowError) as error:
            raise api_error(web.HTTPBadRequest, str(error)) from error
        owned = self._rows.owned(now_ms)
        if any(ids - owned[name] for name, ids in parameters.ids.items()):
            raise api_error(web.HTTPForbidden, "not your location")
        if status := self._rules.unlicensed.get(parameters.data_type):
            raise api_error(UNLICENSED[status], f"{parameters.data_type} is not included in your licence")
        return parameters

    def _authorize(self, request: web.Request) -> None:
        """Check the credentials and count the call. Raises HTTPUnauthorized or HTTPTooManyRequests."""
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            is_authorized = scheme == "Basic" and b64decode(credentials).decode() == f"{self._rules.username}:{TOKEN}"
        except ValueError:
            is_authorized = False
        if not is_authorized:
            raise api_error(web.HTTPUnauthorized, "wrong user or token")
        now_ms = self._now_ms()
        while self._calls and self._calls[0] <= now_ms - MINUTE_MS:
            self._calls.popleft()
        if len(self._calls) >= self._rules.calls_per_minute:
            raise api_error(web.HTTPTooManyRequests, "too many calls")
        self._calls.append(now_ms)
