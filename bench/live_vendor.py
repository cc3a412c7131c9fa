"""A Seemetrix vendor at the live edge, on loopback, for any number of accounts. Ends when stdin is closed.

    python -m bench.live_vendor [SECONDS]

Each account has one session in each minute, or in so many seconds, and then only each account with an even number. A
session has five attention, five emotion and two movie intervals. It can be requested from `AVAILABLE_S` after its end
on. `GET /polls` returns how late the requests of each account were, and `GET /requests` when they were.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from aiohttp import web

from bench.history import response
from bench.serving import serve, window

EVERY_S = 60
QUIET_EVERY_S = 600
LENGTH_S = 5
AVAILABLE_S = 5
DEVICE = 5300
LOOKS = 5


def starts(user: int, first: datetime, last: datetime, every_s: int = EVERY_S) -> Iterator[int]:
    """The starts of the account's sessions from `first` to `last`, in Unix seconds."""
    if every_s != EVERY_S and user % 2:
        return
    offset = user * 7919 % every_s
    at = int(first.timestamp())
    at += (offset - at) % every_s
    while at <= last.timestamp():
        yield at
        at += every_s


def session(at: int) -> bytes:
    """The session that starts then, as the vendor returns it."""
    start = datetime.fromtimestamp(at, UTC).replace(tzinfo=None)
    part_ms = LENGTH_S * 1000 // LOOKS
    row = {
        "a": at % 4,
        "at": [{"a": index % 2, "d": part_ms} for index in range(LOOKS)],
        "b": start.isoformat(timespec="microseconds"),
        "d": DEVICE,
        "e": (start + timedelta(seconds=LENGTH_S)).isoformat(timespec="microseconds"),
        "em": [{"d": part_ms, "e": index % 4} for index in range(LOOKS)],
        "i": LENGTH_S * 1000,
        "o": at // EVERY_S,
        "s": at % 2,
        "v": [{"d": LENGTH_S * 1000, "i": 8000 + at % 40, "s": 0} for _ in range(2)],
    }
    return json.dumps(row).encode()


class LiveVendor:
    """Serves the sessions, and notes when each account was asked for the newest ones."""

    def __init__(self, every_s: int) -> None:
        self._every_s = every_s
        self._asked: dict[int, list[float]] = {}

    async def raw_data(self, request: web.Request) -> web.Response:
        user = int(request.match_info["user"])
        first, last = window(request)
        now = time.time()
        if last.timestamp() > now - EVERY_S:
            self._asked.setdefault(user, []).append(now)
        last = min(last, datetime.fromtimestamp(now - LENGTH_S - AVAILABLE_S, UTC))
        rows = [session(at) for at in starts(user, first, last, self._every_s)]
        return web.Response(body=response(rows), content_type="application/json")

    async def polls(self, request: web.Request) -> web.Response:
        """By how many seconds each gap between two requests since `?since=` exceeds the interval, for all accounts."""
        since = float(request.query["since"])
        late = [
            later - earlier - EVERY_S
            for asked in self._asked.values()
            for earlier, later in pairwise(asked)
            if earlier >= since
        ]
        return web.json_response(late)

    async def requests(self, _: web.Request) -> web.Response:
        """When each account was asked for the newest sessions, in Unix seconds."""
        return web.json_response(self._asked)


async def main(vendor: LiveVendor) -> None:
    app = web.Application()
    app.add_routes(
        [
            web.get("/api/statistics/user/{user}/raw/data/", vendor.raw_data),
            web.get("/polls", vendor.polls),
            web.get("/requests", vendor.requests),
        ]
    )
    await serve(app)


if __name__ == "__main__":
    asyncio.run(main(LiveVendor(int(sys.argv[1]) if sys.argv[1:] else EVERY_S)))
