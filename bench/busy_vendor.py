"""A Seemetrix vendor with much data, on loopback, which generates it when it is requested. Ends when stdin is closed.

    python -m bench.busy_vendor LOOKS PLAYS [UNTIL]

Each account has a million sessions a day, at all times before `UNTIL` (Unix seconds), else until now. A session has so
many intervals of attention, of emotion and of movies. `GET /requests` returns when the newest ones were requested.
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from math import inf
from random import Random

from aiohttp import web

from bench.history import DEVICES, contents
from bench.live_vendor import AVAILABLE_S, EVERY_S
from bench.serving import serve, window

PER_DAY = 1_000_000
GAP_US = 86_400
"""The microseconds between two sessions, at a million a day."""
VARIANTS = 509
"""Sessions of different contents; a prime, so that each device has all of them."""


def variants(looks: int, plays: int) -> Sequence[tuple[int, str]]:
    """Sessions without start, end, device and number: the length of each in ms, and its JSON with places for these."""
    random, found = Random(1), []
    for _ in range(VARIANTS):
        length_ms, fields = contents(random, looks, plays)
        text = json.dumps({**fields, "b": "%s", "d": "%d", "e": "%s", "o": "%d"})
        found.append((length_ms, text.replace('"%d"', "%d")))
    return found


def sessions(of: Sequence[tuple[int, str]], first_s: float, last_s: float) -> list[str]:
    """The sessions that start from `first_s` to `last_s`, in Unix seconds, as the vendor returns them."""
    found = []
    for number in range(-int(-first_s * 1e6 // GAP_US), int(last_s * 1e6 // GAP_US) + 1):
        length_ms, text = of[number % VARIANTS]
        start_us, device, of_device = number * GAP_US, number % DEVICES, number // DEVICES
        found.append(text % (_raw_time(start_us), 5300 + device, _raw_time(start_us + length_ms * 1000), of_device))
    return found


def _raw_time(us: int) -> str:
    return f"{_second(us // 1_000_000)}.{us % 1_000_000:06}"


@lru_cache(10_000)
def _second(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).replace(tzinfo=None).isoformat()


async def main(looks: int, plays: int, until: float = inf) -> None:
    of, asked = variants(looks, plays), defaultdict[int, list[float]](list)
    longest_s = max(length_ms for length_ms, _ in of) / 1000

    async def raw_data(request: web.Request) -> web.Response:
        first, last = (each.timestamp() for each in window(request))
        now = time.time()
        if last > now - EVERY_S:
            asked[int(request.match_info["user"])].append(now)
        found = sessions(of, first, min(last, now - longest_s - AVAILABLE_S, until - 1e-6))
        return web.Response(text='{"objects":[' + ",".join(found) + "]}", content_type="application/json")

    async def requests(_: web.Request) -> web.Response:
        return web.json_response(asked)

    app = web.Application()
    app.add_routes([web.get("/api/statistics/user/{user}/raw/data/", raw_data), web.get("/requests", requests)])
    await serve(app)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
