"""Seemetrix as its REST API document says, as strict as it is: slashes, keys, ids."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from aiohttp import web

from collector.simulator.answers import answer
from collector.simulator.world import Visit, World, as_datetime

USER, KEY = 864, "simulated-key"
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
        ]

    async def raw_data(self, request: web.Request) -> web.Response:
        """The sessions that began in the time asked for, its last second included, as far as they are uploaded."""
        self._authenticate(request)
        query = request.query
        first, last = self._bounds(request)
        chosen = self._world.devices
        if "device_id" in query:
            chosen = tuple(device for device in chosen if str(device) == query["device_id"])
            if not chosen:
                raise web.HTTPForbidden
        first_ms, last_ms, now_ms = _ms(first), _ms(last) + 999, self._now_ms()
        found = [
            _session(visit)
            for device in chosen
            for visit in self._world.between(device, first_ms, last_ms)
            if first_ms <= visit.begin_ms <= last_ms and visit.uploaded_ms <= now_ms
            if "movie_id" not in query or any(str(movie) == query["movie_id"] for movie, _, _ in visit.plays)
        ]
        return answer({"objects": found})

    async def devices(self, request: web.Request) -> web.Response:
        self._authenticate(request)
        created = "Fri, 08 Sep 2017 04:35:12 GMT"
        rows = [
            {"d": device, "n": f"Device #{index}", "created": created, "modified": created, "f": 0, "o": 1, "or": 0}
            | {"acl": [USER], "ip": "-", "k": f"simulated-device-key-{device}", "sid": 2}
            for index, device in enumerate(self._world.devices, 1)
        ]
        told = {"online": rows, "online_total": len(rows), "offline": [], "offline_total": 0}
        return answer(told | {"frozen": [], "frozen_total": 0})

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

    def _authenticate(self, request: web.Request) -> None:
        if request.query.get("key") != KEY:
            raise web.HTTPUnauthorized
        if request.match_info["user"] != str(USER):
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
