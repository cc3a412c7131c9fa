"""A Seemetrix on the loopback interface, with a list of sessions as its history and failures on demand."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Literal

from aiohttp import web
from msgspec import Struct

Select = Literal["begin", "end", "overlap", "strict overlap"]
Session = dict[str, Any]
KEY = "42208b8df38b4e97878ce00aa765bc38"
USER = 864


class Known(Struct, frozen=True):
    """A version of a session: the vendor sends it from `since` until `until`."""

    session: Session
    since: datetime
    until: datetime | None = None


Trouble = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


class Vendor:
    """Responds as documented. `trouble` may respond instead."""

    def __init__(self, known: Sequence[Known], select: Select = "begin", *, inclusive: bool = True) -> None:
        self.known = list(known)
        self.select = select
        self.inclusive = inclusive
        self.trouble: Trouble | None = None
        self.is_dated = True
        """Whether responses have a Date header."""
        self.requests: list[str] = []
        self.address = ""

    @property
    def base_url(self) -> str:
        return f"{self.address}/api"

    async def raw_data(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.rel_url.raw_query_string)
        if self.trouble is not None and (response := await self.trouble(request)) is not None:
            return response
        if request.query.get("key") != KEY:
            return web.Response(status=401)
        if request.match_info["user"] != str(USER) or request.query.get("tzo") != "0":
            return web.Response(status=403)
        first, last = (datetime.strptime(request.query[name], "%Y/%m/%d %H:%M:%S") for name in ("b", "e"))  # noqa: DTZ007
        now = datetime.now(UTC)
        found = [
            known.session
            for known in self.known
            if known.since <= now
            and (known.until is None or now < known.until)
            and self._selects(known.session, first, last)
            and request.query.get("device_id") in (None, str(known.session["d"]))
        ]
        return web.json_response({"objects": found})

    async def devices(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("key") != KEY:
            return web.Response(status=401)
        found = sorted({known.session["d"] for known in self.known})
        return web.json_response({"online": [{"d": device} for device in found], "offline": [], "frozen": []})

    def _selects(self, session: Session, first: datetime, last: datetime) -> bool:
        start, end = (datetime.fromisoformat(session[name]) for name in ("b", "e"))

        def is_before_end(instant: datetime) -> bool:
            return instant <= last if self.inclusive else instant < last

        match self.select:
            case "begin":
                return first <= start and is_before_end(start)
            case "end":
                return first <= end and is_before_end(end)
            case "overlap":
                return end >= first and is_before_end(start)
            case "strict overlap":
                return end > first and is_before_end(start)


@asynccontextmanager
async def serving(vendor: Vendor) -> AsyncIterator[Vendor]:
    """Serve the vendor over HTTP; its `base_url` is then set."""

    async def remove_date(request: web.Request, response: web.StreamResponse) -> None:
        del request
        if not vendor.is_dated:
            response.headers.popall("Date")

    app = web.Application()
    app.on_response_prepare.append(remove_date)
    app.add_routes(
        [
            web.get("/api/statistics/user/{user}/raw/data/", vendor.raw_data),
            web.get("/api/user/{user}/devices/", vendor.devices),
        ]
    )
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0]
        vendor.address = f"http://{host}:{port}"
        yield vendor
    finally:
        await runner.cleanup()


def session(begin: datetime, random: Random, number: int, device: int = 5315) -> Session:
    """A random session in the documented format."""
    attentions = [{"a": index % 2, "d": random.randrange(1, 2000)} for index in range(random.randrange(4))]
    total = sum(attention["d"] for attention in attentions) or random.randrange(100, 3000)
    return {
        "a": random.choice([0, 1, 2, 3, -1, None]),
        "at": attentions,
        "b": written(begin),
        "d": device,
        "e": written(begin + timedelta(milliseconds=total)),
        "em": [{"d": total, "e": random.choice([-1, 0, 1, 2, 3])}],
        "i": total,
        "o": number,
        "s": random.choice([0, 1, None]),
        "v": [{"d": total, "i": movie, "s": 0} for movie in range(random.randrange(3))],
    }


def written(instant: datetime) -> str:
    """In the vendor's format: UTC with microseconds, without a zone."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")


def expected_events(
    session: Session, revision: int = 0, source: str = "mall", user: int = USER
) -> list[tuple[str, str]]:
    """Type and value of every event of a session, without ids. Computed independently of the collector."""
    genders = {0: "female", 1: "male"}
    ages = {0: "child", 1: "young_adult", 2: "adult", 3: "senior"}
    emotions = {0: "neutral", 1: "happy", 2: "angry", 3: "surprised"}
    start = datetime.fromisoformat(session["b"])

    def at(offset_ms: int) -> str:
        return (start + timedelta(milliseconds=offset_ms)).isoformat(timespec="milliseconds") + "Z"

    person = {"gender": genders.get(session["s"], "unknown"), "age_group": ages.get(session["a"], "unknown")}
    record_id = f"seemetrix/{user}/session/{session['d']}/{session['o']}/{at(0)}"
    who = {"vendor": "seemetrix", "source": source, "record_id": record_id, "revision": revision}
    who |= {"device_id": session["d"], "session_number": session["o"]}
    events: list[tuple[str, dict[str, object]]] = [
        (
            "seemetrix.session.v1",
            {
                **who,
                **person,
                "started_at": at(0),
                "ended_at": datetime.fromisoformat(session["e"]).isoformat(timespec="milliseconds") + "Z",
                "duration_ms": session["i"],
                "attention_ms": sum(attention["d"] for attention in session["at"] if attention["a"]),
                "gender_code": session["s"],
                "age_code": session["a"],
                "attention_count": len(session["at"]),
                "emotion_count": len(session["em"]),
                "content_view_count": len(session["v"]),
            },
        )
    ]
    for kind, field in (("attention", "at"), ("emotion", "em"), ("content_view", "v")):
        offset = 0
        for position, row in enumerate(session[field]):
            offset_ms = row.get("s", offset)
            part = {"position": position, "started_at": at(offset_ms), "ended_at": at(offset_ms + row["d"])}
            part["duration_ms"] = row["d"]
            own = {
                "at": {"looking": row.get("a") == 1},
                "em": {"emotion": emotions.get(row.get("e"), "unknown"), "emotion_code": row.get("e")},
                "v": {"movie_id": row.get("i")},
            }[field]
            events.append((f"seemetrix.{kind}.v1", {**who, **person, **part, **own}))
            offset += row["d"]
    return [(kind, json.dumps(data | {"type": kind}, sort_keys=True)) for kind, data in events]
