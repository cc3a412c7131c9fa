"""The benchmark's vendor: serves the history on loopback. Prints its address, and ends when stdin is closed."""

import asyncio
import sys
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime

from aiohttp import web

from bench.history import SESSIONS, response, session


async def main() -> None:
    starts, rows = zip(*(session(number, SESSIONS) for number in range(SESSIONS)), strict=True)

    async def raw_data(request: web.Request) -> web.Response:
        first, last = (
            datetime.strptime(request.query[name], "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC) for name in ("b", "e")
        )
        found = rows[bisect_left(starts, first) : bisect_right(starts, last)]
        return web.Response(body=response(list(found)), content_type="application/json")

    app = web.Application()
    app.add_routes([web.get("/api/statistics/user/{user}/raw/data/", raw_data)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/api", flush=True)  # noqa: T201 - the parent reads it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
