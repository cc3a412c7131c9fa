"""The simulated VidiCenter of Quividi, as its documents describe it: polled exports, limits, and lists."""

from base64 import b64decode
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import ClassVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from msgspec import Struct

from collector.simulator import aggregated, export_request
from collector.simulator.aggregated import Columns, Row
from collector.simulator.base import Simulation
from collector.simulator.codes import AGES, GENDERS, MOODS
from collector.simulator.export_request import FINEST, ExportRequest
from collector.simulator.lists import Lists
from collector.simulator.responses import api_error as _error
from collector.simulator.responses import json_response
from collector.simulator.world import MINUTE_MS, Visit, as_datetime, as_timestamp, last_upload_ms

SOURCE = "airport"
USERNAME, TOKEN = "airport", "simulated-token"
MAX_RUNNING_EXPORTS = 3
CACHE_MS = 24 * 3600 * 1000
MARGIN_MS = 3 * 3600 * 1000
"""Extends a window on both sides, because windows are in local time: clocks change by less than this."""
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Export(Struct):
    created_ms: int
    ready_ms: int
    rows: list[Row]
    has_failed: bool


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
        self._lists = Lists(simulation, self._authorize)
        self._zone = ZoneInfo(self._rules.zone)
        self._exports: dict[str, _Export] = {}
        self._calls: deque[int] = deque()
        self._random = Random(self._world.seed)
        self.max_running = 0
        """The largest number of exports that were being built at the same time."""
        self.refused = 0
        """The number of exports that were rejected because too many were being built."""
        self.started = 0
        """The number of exports that were started."""

    def source_table(self) -> Mapping[str, str | int | Sequence[int]]:
        return {
            "vendor": self.vendor,
            "username": USERNAME,
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
                name = f"{start} quividi/{USERNAME}/viewer/{about}"
                records[f"{name}/{equal_rows[name]}"] += 1
                equal_rows[name] += 1
        return records

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/data/", self.data),
            web.get("/api/v1/whoami/", self.whoami),
            *self._lists.routes(),
        ]

    async def whoami(self, request: web.Request) -> web.Response:
        self._authorize(request)
        return json_response({"username": USERNAME})

    async def data(self, request: web.Request) -> web.Response:
        """The state of the export with exactly these parameters. The value of `force_rebuild` is ignored."""
        self._authorize(request)
        query = {name: value for name, value in request.query.items() if name != "force_rebuild"}
        parameters = self._parse(query)
        name, now_ms = urlencode(sorted(query.items())), self._now_ms()
        self._exports = {key: each for key, each in self._exports.items() if now_ms - each.created_ms <= CACHE_MS}
        export = self._exports.get(name)
        if export is None or "force_rebuild" in request.query:
            running = [other for key, other in self._exports.items() if key != name and other.ready_ms > now_ms]
            if len(running) >= MAX_RUNNING_EXPORTS:
                self.refused += 1
                raise _error(web.HTTPTooManyRequests, "too many exports in parallel")
            self.max_running, self.started = max(self.max_running, len(running) + 1), self.started + 1
            rows = list(self.rows(parameters, now_ms))
            self._random.shuffle(rows)
            ready_ms = now_ms + int(1000 * self._rules.export_s)
            self._exports[name] = _Export(now_ms, ready_ms, rows, self._faults.happens("failed_export"))
            return json_response({"state": "started"})
        created = {"creation_date": f"{as_datetime(export.created_ms):%Y-%m-%d %H:%M:%S}"}
        if export.ready_ms > now_ms:
            return json_response({"state": "in_progress", **created})
        if export.has_failed:
            return json_response({"state": "failed", "fail_reason": "simulated", **created})
        return json_response({"state": "finished", "data": export.rows, **created})

    def rows(self, parameters: ExportRequest, now_ms: int) -> Iterator[Row]:
        """Yield the rows of an export that starts at this time, ordered by location."""
        places = self._places(parameters)
        if parameters.resolution != FINEST:
            yield from self._aggregated(parameters, places, now_ms)
            return
        for place in places:
            rows = [
                row
                for visit, start in self._uploaded(place, parameters, now_ms)
                if start < parameters.last or self._rules.end_is_inclusive
                for row in (self.viewers(visit) if parameters.data_type == "viewers" else self._apc(visit, parameters))
            ]
            yield from rows
            if not rows and parameters.data_type == "viewers":  # a placeholder row, as for every location without data
                empty = {
                    "location_id": place,
                    "period_start": parameters.first.isoformat(),
                    "gender": None,
                    "age": None,
                }
                yield empty | dict.fromkeys(self._times)

    def viewers(self, visit: Visit) -> list[Row]:
        """The rows of a visit: two equal rows if it has a twin."""
        names = self._times
        row: Row = {
            "location_id": visit.device,
            "period_start": self._local_start(visit).isoformat(),
            "gender": GENDERS[visit.gender],
            "age": AGES[visit.age],
            "age_value": visit.years + visit.number % 2 / 2 if self._rules.is_expert else None,
            names[0]: visit.dwell_ms // 100,
            names[1]: visit.attention_ms // 100,
        }
        for code, word in MOODS.items():
            share = 100 * _mood_ms(visit, code) / max(1, visit.dwell_ms)
            row[word] = round(share * 2.55) / 2.55 if self._rules.is_expert else None
        if self._rules.has_old_names:
            row |= dict.fromkeys(("glasses", "mustache", "beard"), 1 if self._rules.is_expert else None)
        elif visit.number % 4:  # ids are numbers or texts, and one viewer of four has none
            row |= {"vr_id": visit.number if visit.number % 2 else f"vr-{visit.number}"}
            row |= {"footfall_id": f"passer-by {visit.number}", "footfall_start": row["period_start"]}
        return [row, dict(row)] if visit.has_twin else [row]

    def _apc(self, visit: Visit, parameters: ExportRequest) -> list[Row]:
        """The rows of a visit with the contents that were played; no row if no selected content was played."""
        names = ("dwell_time", "attention_time")
        if not self._rules.has_old_names:
            names = ("dwell_time_in_milliseconds", "attention_time_in_milliseconds")
        contents = [
            {
                "content_id": aggregated.content_id(movie),
                "campaign_id": f"campaign {movie % 3}" if movie % 3 else None,
                names[0]: ms,
                names[1]: visit.attention_ms,
            }
            | ({"app_id": "player"} if self._rules.has_old_names else {})
            | {f"{word}_time": _mood_ms(visit, code) if self._rules.is_expert else None for code, word in MOODS.items()}
            for movie, _, ms in visit.plays
            if parameters.contents is None or aggregated.content_id(movie) in parameters.contents
        ]
        rows = self.viewers(visit) if contents else []
        return [
            {"start_time" if name == "period_start" else name: value for name, value in row.items()}
            | {"contents": contents}
            for row in rows
        ]

    def _aggregated(self, parameters: ExportRequest, places: list[int], now_ms: int) -> Iterator[Row]:
        by_site = parameters.data_type == "proof_of_play_by_site"
        count = aggregated.viewers_by_demographics if parameters.is_grouped else aggregated.COUNTS[parameters.data_type]
        places_of: dict[int, list[int]] = {}
        for place in places:
            places_of.setdefault(place // 10 if by_site else place, []).append(place)
        for identifier, members in places_of.items():
            by_period: dict[datetime, list[Visit]] = {}
            for place in members:
                for visit, start in self._uploaded(place, parameters, now_ms):
                    visits = by_period.setdefault(aggregated.floor(parameters.resolution, start), [])
                    visits += [visit, visit] if visit.has_twin else [visit]
            uploaded_ms = max(last_upload_ms(self._world.pace, place, now_ms) for place in members)
            for start, end in aggregated.periods(parameters.resolution, parameters.first, parameters.last):
                visits = by_period.get(start, [])
                columns = Columns(
                    *self._times, self._rules.has_old_names, (end - start).total_seconds(), parameters.contents
                )
                is_known = visits or (self._world.rate > 0 and self._ms(end) <= uploaded_ms)
                for row in count(visits, columns) if is_known else aggregated.placeholders(count, columns):
                    yield {"site_id" if by_site else "location_id": identifier, **self._period(start), **row}

    def _period(self, start: datetime) -> Row:
        fields: Row = {"period_start": f"{start:%Y-%m-%d %H:%M:%S}"}
        if not self._rules.has_old_names:
            fields |= {"period_start_date": f"{start:%Y-%m-%d}", "period_start_time": f"{start:%H:%M}"}
        return fields

    def _uploaded(self, place: int, parameters: ExportRequest, now_ms: int) -> Iterator[tuple[Visit, datetime]]:
        """The uploaded visits that start in the window, including its last second, each with its local start."""
        first_ms, last_ms = self._ms(parameters.first) - MARGIN_MS, self._ms(parameters.last) + MARGIN_MS
        for visit in self._world.between(place, first_ms, last_ms):
            start = self._local_start(visit)
            if visit.box_uploaded_ms <= now_ms and parameters.first <= start <= parameters.last:
                yield visit, start

    def _local_start(self, visit: Visit) -> datetime:
        return as_datetime(visit.start_ms).astimezone(self._zone).replace(tzinfo=None, microsecond=0)

    @property
    def _times(self) -> tuple[str, str]:
        if self._rules.has_old_names:
            return "dwell_time", "attention_time"
        return "dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"

    def _parse(self, query: Mapping[str, str]) -> ExportRequest:
        try:
            parameters = export_request.parse(query)
            self._ms(parameters.first), self._ms(parameters.last)
        except (ValueError, OverflowError) as error:
            raise _error(web.HTTPBadRequest, str(error)) from error
        owned = {"locations": set(self._world.devices), "sites": {place // 10 for place in self._world.devices}}
        if any(ids - owned.get(name, set()) for name, ids in parameters.ids.items()):
            raise _error(web.HTTPForbidden, "not your location")
        return parameters

    def _places(self, parameters: ExportRequest) -> list[int]:
        places, sites = (parameters.ids.get(name, frozenset()) for name in ("locations", "sites"))
        return [place for place in self._world.devices if place in places or place // 10 in sites]

    def _ms(self, local: datetime) -> int:
        """Unix time in milliseconds. Raises OverflowError or ValueError for a time outside the calendar in UTC."""
        return int((local.replace(tzinfo=self._zone) - UNIX_EPOCH).total_seconds()) * 1000

    def _authorize(self, request: web.Request) -> None:
        """Check the credentials and count the call. Raises HTTPUnauthorized or HTTPTooManyRequests."""
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        try:
            is_authorized = scheme == "Basic" and b64decode(credentials).decode() == f"{USERNAME}:{TOKEN}"
        except ValueError:
            is_authorized = False
        if not is_authorized:
            raise _error(web.HTTPUnauthorized, "wrong user or token")
        now_ms = self._now_ms()
        while self._calls and self._calls[0] <= now_ms - MINUTE_MS:
            self._calls.popleft()
        if len(self._calls) >= self._rules.calls_per_minute:
            raise _error(web.HTTPTooManyRequests, "too many calls")
        self._calls.append(now_ms)


def _mood_ms(visit: Visit, code: int) -> int:
    return sum(ms for mood, ms in visit.moods if mood == code)
