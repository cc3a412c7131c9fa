"""Seemetrix as its REST API document says, as strict as it is: slashes, keys, ids."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from aiohttp import web

from collector.simulator import statistics
from collector.simulator.answers import answer
from collector.simulator.world import Visit, World, as_datetime

USER, KEY = 864, "simulated-key"
LONGEST = timedelta(days=184)
"""Six months: what a tree may be asked for."""
_WRITTEN = "%Y/%m/%d %H:%M:%S"


class Seemetrix:
    """The vendor."""

    def __init__(self, world: World, now_ms: Callable[[], int]) -> None:
        self._world = world
        self._now_ms = now_ms

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
        """The sessions that began in the time asked for, its last second included, as far as they are uploaded."""
        self._authenticate(request)
        query = request.query
        first, last = self._bounds(request)
        found = [
            _session(visit)
            for visit in self._begun(self._chosen(query.get("device_id")), first, last)
            if "movie_id" not in query or any(str(movie) == query["movie_id"] for movie, _, _ in visit.plays)
        ]
        return answer({"objects": found})

    async def statistics(self, request: web.Request) -> web.Response:
        """Hours alone: that is how they are asked for when year, month, day and hour all are."""
        self._authenticate(request)
        if not {"year", "month", "day", "hour"} <= request.query.keys():
            raise web.HTTPNotImplemented
        first, last = self._bounds(request)
        chosen = self._chosen(request.match_info.get("device"))
        visits = list(self._begun(chosen, first, last))
        objects = list(statistics.hours(visits, request.query.keys()))
        told = {"begin": first.strftime(_WRITTEN), "end": last.strftime(_WRITTEN), "objects": objects}
        return answer(told | {"total": len(objects), "total_counters": {"total": len(visits)}})

    async def breakdown(self, request: web.Request) -> web.Response:
        """A tree; devices and movies at its root come in pages."""
        self._authenticate(request)
        query, path = request.query, request.match_info["levels"]
        levels, dt_format = path.split("/"), query.get("dt_format", "YYYY-MM-DD")
        first, last = self._bounds(request)
        page, size = int(query.get("page", "0")), int(query.get("obj_in_page", "10"))
        if not statistics.is_request(levels, dt_format) or last - first > LONGEST or page < 0 or size < 1:
            raise web.HTTPBadRequest
        found = list(self._begun(self._chosen(query.get("d")), first, last))
        nodes = statistics.tree(found, levels, dt_format)
        pages = -(-len(nodes) // size) if levels[0] in ("devices", "movies") else 1
        if levels[0] in ("devices", "movies"):
            nodes = nodes[page * size : (page + 1) * size]
        views = {"v": len(found), "vd": sum(visit.dwell_ms for visit in found)}
        children = {node["n"]: node for node in nodes} if query.get("to_object") == "1" else nodes
        return answer(
            {"begin": first.strftime(_WRITTEN), "end": last.strftime(_WRITTEN), "levels": levels, "path": path}
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
        return answer(groups | {f"{state}_total": len(rows) for state, rows in groups.items()})

    async def counters(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        now_ms = self._now_ms()
        hour = sum(1 for visit in self._uploaded(now_ms - 3_600_000, now_ms))
        day = sum(1 for visit in self._uploaded(now_ms - now_ms % 86_400_000, now_ms))
        return answer(
            {"avg_duration": 6.38, "dev_num": len(self._world.devices), "movies_num": 40}
            | {"online_device_num": len(self._world.devices), "usr_cur_day": day, "usr_cur_hour": hour}
            | {"usr_cur_month": day * 20, "usr_num": day * 200}
        )

    def _uploaded(self, first_ms: int, now_ms: int) -> Iterator[Visit]:
        for device in self._world.devices:
            for visit in self._world.between(device, first_ms, now_ms):
                if first_ms <= visit.begin_ms and visit.uploaded_ms <= now_ms:
                    yield visit

    def _chosen(self, device: str | None) -> tuple[int, ...]:
        """Every device, or the one that is named. Raises HTTPForbidden for another's."""
        if device is None:
            return self._world.devices
        chosen = tuple(each for each in self._world.devices if str(each) == device)
        if not chosen:
            raise web.HTTPForbidden
        return chosen

    def _begun(self, devices: tuple[int, ...], first: datetime, last: datetime) -> Iterator[Visit]:
        """The visits that began in the time, its last second included, as far as they are uploaded."""
        first_ms, last_ms, now_ms = _ms(first), _ms(last) + 999, self._now_ms()
        for device in devices:
            for visit in self._world.between(device, first_ms, last_ms):
                if first_ms <= visit.begin_ms <= last_ms and visit.uploaded_ms <= now_ms:
                    yield visit

    def _authenticate(self, request: web.Request) -> None:
        if request.query.get("key") != KEY:
            raise web.HTTPUnauthorized
        if request.match_info.get("user", str(USER)) != str(USER):
            raise web.HTTPForbidden

    def _bounds(self, request: web.Request) -> tuple[datetime, datetime]:
        query = request.query
        if "last_week" in query:
            now = as_datetime(self._now_ms())
            return now - timedelta(days=7), now
        try:
            offset = timedelta(hours=int(query["tzo"]))
            first, last = (datetime.strptime(query[name], _WRITTEN).replace(tzinfo=UTC) for name in ("b", "e"))
            return first - offset, last - offset
        except (KeyError, ValueError, OverflowError) as error:
            raise web.HTTPBadRequest from error


def _session(visit: Visit) -> dict[str, list[dict[str, int]] | str | int | None]:
    return {
        "a": visit.age,
        "at": [{"a": looking, "d": ms} for looking, ms in visit.looks],
        "b": _written(visit.begin_ms),
        "d": visit.device,
        "e": _written(visit.end_ms),
        "em": [{"d": ms, "e": mood} for mood, ms in visit.moods],
        "i": visit.dwell_ms,
        "o": visit.number,
        "s": visit.gender,
        "v": [{"d": ms, "i": movie, "s": start} for movie, start, ms in visit.plays],
    }


def _written(unix_ms: int) -> str:
    """As raw times are written: without a zone, and without a fraction where there is none."""
    return as_datetime(unix_ms).replace(tzinfo=None).isoformat()


def _ms(moment: datetime) -> int:
    return int(moment.timestamp()) * 1000
