"""VidiCenter as its data export document says: exports that one asks for again and again, and their limits."""

import json
from base64 import b64decode
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from random import Random
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from aiohttp import web
from msgspec import Struct

from collector.simulator import aggregated, asked
from collector.simulator.aggregated import Naming, Row
from collector.simulator.answers import answer
from collector.simulator.asked import FINEST, Asked
from collector.simulator.codes import AGES, GENDERS, MOODS
from collector.simulator.faults import Faults
from collector.simulator.world import Visit, World, as_datetime, last_upload_ms

USERNAME, TOKEN = "airport", "simulated-token"
MAX_RUNNING_EXPORTS = 3
CACHED_MS = 24 * 3600 * 1000
WIDER_MS = 3 * 3600 * 1000
"""Around a window: what is in it is decided by local time, and clocks are set by less."""
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000


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
    rows: list[Row]
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
        wanted = self._asked(query)
        name, now_ms = urlencode(sorted(query.items())), self._now_ms()
        self._exports = {key: each for key, each in self._exports.items() if now_ms - each.created_ms <= CACHED_MS}
        export = self._exports.get(name)
        if export is None or "force_rebuild" in request.query:
            running = [other for key, other in self._exports.items() if key != name and other.ready_ms > now_ms]
            if len(running) >= MAX_RUNNING_EXPORTS:
                self.refused += 1
                raise _refusal(web.HTTPTooManyRequests, "too many exports in parallel")
            self.most_at_once, self.built = max(self.most_at_once, len(running) + 1), self.built + 1
            rows = list(self.rows(wanted, now_ms))
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

    def rows(self, wanted: Asked, now_ms: int) -> Iterator[Row]:
        """What an export that is begun now has, in order."""
        places = self._places(wanted)
        if wanted.resolution != FINEST:
            yield from self._aggregated(wanted, places, now_ms)
            return
        for place in places:
            rows = [
                row
                for visit, begin in self._uploaded(place, wanted, now_ms)
                if begin < wanted.last or self._rules.end_is_inclusive
                for row in (self.viewers(visit) if wanted.data_type == "viewers" else self._apc(visit, wanted))
            ]
            yield from rows
            if not rows and wanted.data_type == "viewers":  # a placeholder, as for every missing line
                empty = {"location_id": place, "period_start": wanted.first.isoformat(), "gender": None, "age": None}
                yield empty | dict.fromkeys(self._times)

    def viewers(self, visit: Visit) -> list[Row]:
        """The rows of a visit: two equal ones where it has a twin."""
        names = self._times
        row: Row = {
            "location_id": visit.device,
            "period_start": self._begin(visit).isoformat(),
            "gender": GENDERS[visit.gender],
            "age": AGES[visit.age],
            "age_value": visit.years if self._rules.expert else None,
            names[0]: visit.dwell_ms // 100,
            names[1]: visit.attention_ms // 100,
        }
        for code, word in MOODS.items():
            share = 100 * _mood_ms(visit, code) / max(1, visit.dwell_ms)
            row[word] = round(share * 2.55) / 2.55 if self._rules.expert else None
        if self._rules.old_names:
            row |= dict.fromkeys(("glasses", "mustache", "beard"), 1 if self._rules.expert else None)
        return [row, dict(row)] if visit.has_twin else [row]

    def _apc(self, visit: Visit, wanted: Asked) -> list[Row]:
        """The same, with what was played; none where nothing was."""
        names = ("dwell_time", "attention_time")
        if not self._rules.old_names:
            names = ("dwell_time_in_milliseconds", "attention_time_in_milliseconds")
        contents = [
            {
                "content_id": aggregated.content(movie),
                "campaign_id": f"campaign {movie % 3}" if movie % 3 else None,
                names[0]: ms,
                names[1]: visit.attention_ms,
            }
            | ({"app_id": "player"} if self._rules.old_names else {})
            | {f"{word}_time": _mood_ms(visit, code) if self._rules.expert else None for code, word in MOODS.items()}
            for movie, _, ms in visit.plays
            if wanted.contents is None or aggregated.content(movie) in wanted.contents
        ]
        rows = self.viewers(visit) if contents else []
        return [
            {"start_time" if name == "period_start" else name: value for name, value in row.items()}
            | {"contents": contents}
            for row in rows
        ]

    def _aggregated(self, wanted: Asked, places: list[int], now_ms: int) -> Iterator[Row]:
        by_site = wanted.data_type == "proof_of_play_by_site"
        count = aggregated.viewers_by_demographics if wanted.grouped else aggregated.COUNTS[wanted.data_type]
        members: dict[int, list[int]] = {}
        for place in places:
            members.setdefault(place // 10 if by_site else place, []).append(place)
        for name, of in members.items():
            people: dict[datetime, list[Visit]] = {}
            for place in of:
                for visit, at in self._uploaded(place, wanted, now_ms):
                    there = people.setdefault(aggregated.floor(wanted.resolution, at), [])
                    there += [visit, visit] if visit.has_twin else [visit]
            uploaded_ms = max(last_upload_ms(self._world.pace, place, now_ms) for place in of)
            for begin, end in aggregated.periods(wanted.resolution, wanted.first, wanted.last):
                there = people.get(begin, [])
                naming = Naming(*self._times, self._rules.old_names, (end - begin).total_seconds(), wanted.contents)
                is_known = there or (self._world.rate > 0 and self._ms(end) <= uploaded_ms)
                for row in count(there, naming) if is_known else aggregated.placeholders(count, naming):
                    yield {"site_id" if by_site else "location_id": name, **self._period(begin), **row}

    def _period(self, begin: datetime) -> Row:
        names: Row = {"period_start": f"{begin:%Y-%m-%d %H:%M:%S}"}
        if not self._rules.old_names:
            names |= {"period_start_date": f"{begin:%Y-%m-%d}", "period_start_time": f"{begin:%H:%M}"}
        return names

    def _uploaded(self, place: int, wanted: Asked, now_ms: int) -> Iterator[tuple[Visit, datetime]]:
        """Who came in the time asked for, its last second included, and at which local second."""
        first_ms, last_ms = self._ms(wanted.first) - WIDER_MS, self._ms(wanted.last) + WIDER_MS
        for visit in self._world.between(place, first_ms, last_ms):
            begin = self._begin(visit)
            if visit.boxed_ms <= now_ms and wanted.first <= begin <= wanted.last:
                yield visit, begin

    def _begin(self, visit: Visit) -> datetime:
        return as_datetime(visit.begin_ms).astimezone(self._zone).replace(tzinfo=None, microsecond=0)

    @property
    def _times(self) -> tuple[str, str]:
        if self._rules.old_names:
            return "dwell_time", "attention_time"
        return "dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec"

    def _asked(self, query: Mapping[str, str]) -> Asked:
        try:
            wanted = asked.read(query)
            self._ms(wanted.first), self._ms(wanted.last)
        except (ValueError, OverflowError) as error:
            raise _refusal(web.HTTPBadRequest, str(error)) from error
        owned = {"locations": set(self._world.devices), "sites": {place // 10 for place in self._world.devices}}
        if any(ids - owned.get(name, set()) for name, ids in wanted.ids.items()):
            raise _refusal(web.HTTPForbidden, "not your location")
        return wanted

    def _places(self, wanted: Asked) -> list[int]:
        places, sites = (wanted.ids.get(name, frozenset()) for name in ("locations", "sites"))
        return [place for place in self._world.devices if place in places or place // 10 in sites]

    def _ms(self, local: datetime) -> int:
        """Unix time in milliseconds of a local time. Raises OverflowError or ValueError at the ends of the calendar."""
        return int((local.replace(tzinfo=self._zone) - UNIX_EPOCH).total_seconds()) * 1000

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


def _mood_ms(visit: Visit, code: int) -> int:
    return sum(ms for mood, ms in visit.moods if mood == code)


def _refusal(kind: type[web.HTTPException], message: str) -> web.HTTPException:
    told = {"message": message, "error": kind.status_code}
    return kind(text=json.dumps(told), content_type="application/json")
