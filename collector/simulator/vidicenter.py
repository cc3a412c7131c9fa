"""VidiCenter as its data export document says: exports that one asks for again and again, and their limits."""

import json
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from random import Random
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from msgspec import Struct

from collector.simulator.answers import answer
from collector.simulator.faults import Faults
from collector.simulator.world import Visit, World, as_datetime

USERNAME, TOKEN = "airport", "simulated-token"
EXPORTS_AT_ONCE = 3
CACHED_MS = 24 * 3600 * 1000
WIDER_MS = 3 * 3600 * 1000
"""Around a window: what is in it is decided by local time, and clocks are set by less."""
SELECTORS = ("locations", "sites", "location_tags", "site_tags")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000
# Seemetrix's codes, with which the world is written, in VidiCenter's.
_GENDERS = {0: 2, 1: 1, None: 0}
_AGES = {0: 1, 1: 2, 2: 3, 3: 4, None: 0}
_MOODS = {1: "happy", 0: "neutral", 2: "unhappy", 3: "very_happy", -1: "very_unhappy"}


class Rules(Struct, frozen=True):
    """What differs from one VidiCenter to another, and over the years."""

    zone: str = "Europe/Paris"
    export_s: float = 5.0
    """How long the building of an export takes."""
    calls_per_minute: int = 50
    old_names: bool = False
    expert: bool = True
    end_is_inclusive: bool = True


class _Export(Struct):
    created_ms: int
    ready_ms: int
    rows: list[dict[str, object]]
    failed: bool


class VidiCenter:
    """The vendor."""

    def __init__(self, world: World, now_ms: Callable[[], int], rules: Rules, faults: Faults) -> None:
        self._world = world
        self._now_ms = now_ms
        self._rules = rules
        self._faults = faults
        self._zone = ZoneInfo(rules.zone)
        self._exports: dict[str, _Export] = {}
        self._calls: deque[int] = deque()
        self._random = Random(world.seed)
        self.most_at_once = 0
        """Exports, so far."""
        self.refused = 0
        """Exports that were one too many."""
        self.built = 0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/data/", self.data),
            web.get("/api/v1/whoami/", self.whoami),
            web.get("/api/v1/locations/", self.locations),
        ]

    async def whoami(self, request: web.Request) -> web.Response:
        self._admit(request)
        return answer({"username": USERNAME})

    async def locations(self, request: web.Request) -> web.Response:
        self._admit(request)
        offset = as_datetime(self._now_ms()).astimezone(self._zone).utcoffset()
        seconds = 0 if offset is None else int(offset.total_seconds())
        return answer(
            [
                {"id": place, "label": f"Location {place}", "site_id": place // 10, "active": True}
                | {"last_timezone": seconds}
                for place in self._world.devices
            ]
        )

    async def data(self, request: web.Request) -> web.Response:
        """The state of the export that has exactly these parameters; `force_rebuild` counts by being there."""
        self._admit(request)
        query = {name: value for name, value in request.query.items() if name != "force_rebuild"}
        places, first, last = self._asked(query)
        name, now_ms = urlencode(sorted(query.items())), self._now_ms()
        self._exports = {key: each for key, each in self._exports.items() if now_ms - each.created_ms <= CACHED_MS}
        export = self._exports.get(name)
        if export is None or "force_rebuild" in request.query:
            running = [other for key, other in self._exports.items() if key != name and other.ready_ms > now_ms]
            if len(running) >= EXPORTS_AT_ONCE:
                self.refused += 1
                raise _refusal(web.HTTPTooManyRequests, "too many exports in parallel")
            self.most_at_once, self.built = max(self.most_at_once, len(running) + 1), self.built + 1
            rows = list(self._rows(places, first, last, now_ms))
            self._random.shuffle(rows)
            ready_ms = now_ms + int(1000 * self._rules.export_s)
            self._exports[name] = _Export(now_ms, ready_ms, rows, self._faults.happens("failed_export"))
            return answer({"state": "started"})
        told = {"creation_date": f"{as_datetime(export.created_ms):%Y-%m-%d %H:%M:%S}"}
        if export.ready_ms > now_ms:
            return answer({"state": "in_progress", **told})
        if export.failed:
            return answer({"state": "failed", "fail_reason": "simulated", **told})
        return answer({"state": "finished", "data": export.rows, **told})

    def viewers(self, visit: Visit) -> list[dict[str, object]]:
        """The rows of a visit: two equal ones where it has a twin."""
        begin = as_datetime(visit.begin_ms).astimezone(self._zone).replace(tzinfo=None, microsecond=0)
        names = self._times
        row: dict[str, object] = {
            "location_id": visit.device,
            "period_start": begin.isoformat(),
            "gender": _GENDERS[visit.gender],
            "age": _AGES[visit.age],
            "age_value": visit.years if self._rules.expert else None,
            names[0]: visit.dwell_ms // 100,
            names[1]: visit.attention_ms // 100,
        }
        for code, word in _MOODS.items():
            share = 100 * sum(ms for mood, ms in visit.moods if mood == code) / max(1, visit.dwell_ms)
            row[word] = round(share * 2.55) / 2.55 if self._rules.expert else None
        if self._rules.old_names:
            row |= dict.fromkeys(("glasses", "mustache", "beard"), 1 if self._rules.expert else None)
        return [row, dict(row)] if visit.has_twin else [row]

    def _rows(self, places: list[int], first: datetime, last: datetime, now_ms: int) -> Iterator[dict[str, object]]:
        for place in places:
            found = 0
            for visit in self._world.between(place, self._ms(first) - WIDER_MS, self._ms(last) + WIDER_MS):
                begin = as_datetime(visit.begin_ms).astimezone(self._zone).replace(tzinfo=None, microsecond=0)
                upto = begin <= last if self._rules.end_is_inclusive else begin < last
                if visit.boxed_ms <= now_ms and first <= begin and upto:
                    found += 1
                    yield from self.viewers(visit)
            if not found:  # a placeholder, as for every missing line
                empty = {"location_id": place, "period_start": first.isoformat(), "gender": None, "age": None}
                yield empty | dict.fromkeys(self._times)

    @property
    def _times(self) -> tuple[str, str]:
        if self._rules.old_names:
            return "dwell_time", "attention_time"
        return "dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"

    def _asked(self, query: dict[str, str]) -> tuple[list[int], datetime, datetime]:
        try:
            first, last = (datetime.strptime(query[name], "%Y-%m-%dT%H:%M:%S") for name in ("start", "end"))  # noqa: DTZ007
            ids = {name: {int(each) for each in query[name].split(",")} for name in SELECTORS if name in query}
            self._ms(first), self._ms(last)
        except (KeyError, ValueError, OverflowError) as error:
            raise _refusal(web.HTTPBadRequest, "start, end or ids cannot be read") from error
        if first > last or not ids or query.get("data_type") != "viewers" or query.get("time_resolution") != "finest":
            raise _refusal(web.HTTPBadRequest, "only finest viewers are simulated, of some locations or sites")
        owned = {"locations": set(self._world.devices), "sites": {place // 10 for place in self._world.devices}}
        if any(asked - owned.get(name, set()) for name, asked in ids.items()):
            raise _refusal(web.HTTPForbidden, "not your location")
        places, sites = ids.get("locations", set()), ids.get("sites", set())
        return [place for place in self._world.devices if place in places or place // 10 in sites], first, last

    def _ms(self, local: datetime) -> int:
        """Unix time in milliseconds of a local time. Raises OverflowError or ValueError at the ends of the calendar."""
        return int((local.replace(tzinfo=self._zone) - EPOCH).total_seconds()) * 1000

    def _admit(self, request: web.Request) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            right = scheme == "Basic" and b64decode(given).decode() == f"{USERNAME}:{TOKEN}"
        except ValueError:
            right = False
        if not right:
            raise _refusal(web.HTTPUnauthorized, "wrong user or token")
        now_ms = self._now_ms()
        while self._calls and self._calls[0] <= now_ms - MINUTE_MS:
            self._calls.popleft()
        if len(self._calls) >= self._rules.calls_per_minute:
            raise _refusal(web.HTTPTooManyRequests, "too many calls")
        self._calls.append(now_ms)


def _refusal(kind: type[web.HTTPException], message: str) -> web.HTTPException:
    told = {"message": message, "error": kind.status_code}
    return kind(text=json.dumps(told), content_type="application/json")
