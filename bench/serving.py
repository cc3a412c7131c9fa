"""What the vendors of the benchmark share: each serves Seemetrix's raw data in a process of its own."""

import asyncio
import sys
from datetime import UTC, datetime

from aiohttp import web


def window(request: web.Request) -> tuple[datetime, datetime]:
    """The first and the last second that a request for raw data selects."""
    first, last = (
        datetime.strptime(request.query[name], "%Y/%m/%d %H:%M:%S").replace(tzinfo=UTC) for name in ("b", "e")
    )
    return first, last


async def serve(app: web.Application, path: str = "") -> None:
    """Serve on loopback until stdin is closed. Prints the URL of the path."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}{path}", flush=True)  # noqa: T201 - the parent reads it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()
