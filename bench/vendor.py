"""The benchmark's vendor: serves the history on loopback. Prints its address, and ends when stdin is closed."""

import asyncio
from bisect import bisect_left, bisect_right

from aiohttp import web

from bench.history import SESSIONS, response, session
from bench.serving import serve, window


async def main() -> None:
    starts, rows = zip(*(session(number, SESSIONS) for number in range(SESSIONS)), strict=True)

    async def raw_data(request: web.Request) -> web.Response:
        first, last = window(request)
        found = rows[bisect_left(starts, first) : bisect_right(starts, last)]
        return web.Response(body=response(list(found)), content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/api/statistics/user/{user}/raw/data/", raw_data)])
    await serve(app, "/api")


if __name__ == "__main__":
    asyncio.run(main())
