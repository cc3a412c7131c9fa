"""The simulated Seemetrix: its REST API as the vendor's document describes it, with strict slashes, keys and ids."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from aiohttp import web

from collector.simulator import statistics
from collector.simulator.base import Simulation
from collector.simulator.responses import json_response
from collector.simulator.world import Visit, as_datetime, as_timestamp

SOURCE = "mall"
USER, KEY = 864, "simulated-key"
MAX_BREAKDOWN = timedelta(days=184)
"""The longest window of a breakdown: six months."""
_TIME_FORMAT = "%Y/%m/%d %H:%M:%S"
_INTEGER = re.compile(r"-?[0-9]{1,2}")


class Seemetrix:
    """The vendor. Its devices are the devices of the world."""

    vendor: ClassVar[str] = "seemetrix"
    source: ClassVar[str] = SOURCE
    base_path: ClassVar[str] = "/api"
    main_stream: ClassVar[str] = "sessions"
    demo_interval: ClassVar[str] = "1s"

    def __init__(self, simulation: Simulation) -> None:
        self._world = simulation.world
        self._now_ms = simulation.now_ms

    def source_table(self) -> Mapping[str, str | int | Sequence[int]]:
        return {"vendor": self.vendor, "user_id": USER, "user_key": KEY}

    def expected_records(self, first_ms: int, last_ms: int) -> Counter[str]:
        """One session for each visit. Its `record_id` is `seemetrix/<user>/session/<device>/<number>/<start>`."""
        records = Counter[str]()
        for visit in self._world.all_between(first_ms, last_ms):
            start = as_timestamp(visit.start_ms)
            records[f"{start} seemetrix/{USER}/session/{visit.device}/{visit.number}/{start}"] += 1
        return records

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/statistics/user/{user}/raw/data/", self.raw_data),
            web.get("/api/user/{user}/devices/", self.devices),
            web.get("/api/user/{user}/counters", self.counters),  # the one path without a slash
            web.get("/api/statistics/user/{user}/", self.statistics),
            web.get("/api/statistics/device/{device}/", self.statistics),
            web.get("/api/v2/statistics/user/{user}/{levels:.+}/", self.breakdown),
        ]

    async def raw_data(self, request: web.Request) -> web.Response:
        """The uploaded sessions that start in the requested window, including its last second."""
        self._authenticate(request)
        query = request.query
        first, last, _ = self._bounds(request)
        sessions = [
            _session(visit)
            for visit in self._visits(self._selected(query.get("device_id")), first, last)
            if "movie_id" not in query or any(str(movie) == query["movie_id"] for movie, _, _ in visit.plays)
        ]
        return json_response({"objects": sessions})

    async def statistics(self, request: web.Request) -> web.Response:
        """Statistics per hour of local time. Other groupings are not simulated: the response is HTTP 501."""
        self._authenticate(request)
        if not {"year", "month", "day", "hour"} <= request.query.keys():
            raise web.HTTPNotImplemented
        first, last, offset = self._bounds(request)
        selected = self._selected(request.match_info.get("device"))
        visits = list(self._visits(selected, first, last))
        objects = list(statistics.hours(visits, request.query.keys(), _offset_ms(offset)))
        totals = {"total": len(objects), "total_counters": {"total": len(visits)}}
        return json_response({**_local_window(first, last, offset), "objects": objects, **totals})

    async def breakdown(self, request: web.Request) -> web.Response:
        """The tree of the requested levels, with dates in local time. Paged if the first level is devices or movies."""
        self._authenticate(request)
        query, path = request.query, request.match_info["levels"]
        levels, dt_format = path.split("/"), query.get("dt_format", "YYYY-MM-DD")
        first, last, offset = self._bounds(request)
        page, size = int(query.get("page", "0")), int(query.get("obj_in_page", "10"))
        if not statistics.is_valid_request(levels, dt_format) or last - first > MAX_BREAKDOWN or page < 0 or size < 1:
            raise web.HTTPBadRequest
        visits = list(self._visits(self._selected(query.get("d")), first, last))
        nodes = statistics.tree(visits, levels, dt_format, _offset_ms(offset))
        pages = -(-len(nodes) // size) if levels[0] in ("devices", "movies") else 1
        if levels[0] in ("devices", "movies"):
            nodes = nodes[page * size : (page + 1) * size]
        views = statistics.totals(visits)
        children = {node["n"]: node for node in nodes} if query.get("to_object") == "1" else nodes
        return json_response(
            {**_local_window(first, last, offset), "levels": levels, "path": path}
            | {"data": {"n": "root", "t": "root", "o": children} | views, "dt_format": dt_format}
            | {"ok": 1, "user_id": USER, "page": page, "obj_in_page": size, "pages_total": pages}
        )

    async def devices(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        created, now_ms = "Fri, 08 Sep 2017 04:35:12 GMT", self._now_ms()
        groups: dict[str, list[dict[str, object]]] = {"online": [], "offline": [], "frozen": []}
        for index, device in enumerate(self._world.devices, 1):
            state = self._world.state(device, now_ms)
            row = {"d": device, "n": f"Device #{index}", "created": created, "modified": created, "sid": 2, "or": 0}
            row |= {"f": int(state == "frozen"), "o": int(state == "online"), "acl": [USER], "ip": "-"}
            groups[state].append(row | {"k": f"simulated-device-key-{device}"})
        return json_response(groups | {f"{state}_total": len(rows) for state, rows in groups.items()})

    async def counters(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        now_ms = self._now_ms()
        hour = sum(1 for visit in self._uploaded(now_ms - 3_600_000, now_ms))
        day = sum(1 for visit in self._uploaded(now_ms - now_ms % 86_400_000, now_ms))
        return json_response(
            {"avg_duration": 6.38, "dev_num": len(self._world.devices), "movies_num": 40}
            | {"online_device_num": len(self._world.devices), "usr_cur_day": day, "usr_cur_hour": hour}
            | {"usr_cur_month": day * 20, "usr_num": day * 200}
        )

    def _uploaded(self, first_ms: int, now_ms: int) -> Iterator[Visit]:
        for visit in self._world.all_between(first_ms, now_ms):
            if first_ms <= visit.start_ms and visit.uploaded_ms <= now_ms:
                yield visit

    def _selected(self, device: str | None) -> tuple[int, ...]:
        """Every device if `device` is None, else that device. Raises HTTPForbidden if the account does not own it."""
        if device is None:
            return self._world.devices
        selected = tuple(each for each in self._world.devices if str(each) == device)
        if not selected:
            raise web.HTTPForbidden
        return selected

    def _visits(self, devices: tuple[int, ...], first: datetime, last: datetime) -> Iterator[Visit]:
        """The uploaded visits that start in the window, including its last second."""
        first_ms, last_ms, now_ms = _ms(first), _ms(last) + 999, self._now_ms()
        for device in devices:
            for visit in self._world.between(device, first_ms, last_ms):
                if first_ms <= visit.start_ms <= last_ms and visit.uploaded_ms <= now_ms:
                    yield visit

    def _authenticate(self, request: web.Request) -> None:
        if request.query.get("key") != KEY:
            raise web.HTTPUnauthorized
        if request.match_info.get("user", str(USER)) != str(USER):
            raise web.HTTPForbidden

    def _bounds(self, request: web.Request) -> tuple[datetime, datetime, timedelta]:
        """The window in UTC, and local time minus UTC. Raises HTTPBadRequest: `tzo` must be an integer, of hours."""
        query = request.query
        if "last_week" in query:
            now = as_datetime(self._now_ms())
            return now - timedelta(days=7), now, timedelta(0)
        if not _INTEGER.fullmatch(query.get("tzo", "")):
            raise web.HTTPBadRequest
        try:
            offset = timedelta(hours=int(query["tzo"]))
            first, last = (datetime.strptime(query[name], _TIME_FORMAT).replace(tzinfo=UTC) for name in ("b", "e"))
            return first - offset, last - offset, offset
        except (KeyError, ValueError, OverflowError) as error:
            raise web.HTTPBadRequest from error


def _local_window(first: datetime, last: datetime, offset: timedelta) -> dict[str, str]:
    """The window of a response, in local time as the request states it."""
    begin, end = ((instant + offset).strftime(_TIME_FORMAT) for instant in (first, last))
    return {"begin": begin, "end": end}


def _offset_ms(offset: timedelta) -> int:
    return offset // timedelta(milliseconds=1)


def _session(visit: Visit) -> dict[str, list[dict[str, int]] | str | int | None]:
    return {
        "a": visit.age,
        "at": [{"a": looking, "d": ms} for looking, ms in visit.looks],
        "b": _raw_time(visit.start_ms),
        "d": visit.device,
        "e": _raw_time(visit.end_ms),
        "em": [{"d": ms, "e": mood} for mood, ms in visit.moods],
        "i": visit.dwell_ms,
        "o": visit.number,
        "s": visit.gender,
        "v": [{"d": ms, "i": movie, "s": start} for movie, start, ms in visit.plays],
    }


def _raw_time(unix_ms: int) -> str:
    """A time of the raw data: without a zone, and without a fraction if it is zero."""
    return as_datetime(unix_ms).replace(tzinfo=None).isoformat()


def _ms(instant: datetime) -> int:
    return int(instant.timestamp()) * 1000
