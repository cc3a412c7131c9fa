"""Both vendors on one address."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

from aiohttp import web
from msgspec import Struct

from collector.simulator.faults import Faults
from collector.simulator.seemetrix import Seemetrix
from collector.simulator.vidicenter import Rules, VidiCenter
from collector.simulator.world import World


class Simulated(Struct, frozen=True):
    """The running vendors."""

    address: str
    vidicenter: VidiCenter

    @property
    def seemetrix_url(self) -> str:
        return f"{self.address}/api"

    @property
    def quividi_url(self) -> str:
        return f"{self.address}/api/v1"


@asynccontextmanager
async def serving(
    world: World,
    *,
    host: str,
    port: int,
    rules: Rules | None = None,
    faults: Faults | None = None,
    ahead_s: int = 0,
) -> AsyncIterator[Simulated]:
    """Serve until the end of the block, with clocks that are ahead, or behind.

    Raises OSError when the address cannot be listened on; port 0 is any.
    """

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + ahead_s * 1000

    async def date(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(now_ms() // 1000, usegmt=True)

    faults = faults or Faults()
    vidicenter = VidiCenter(world, now_ms, rules or Rules(), faults)
    app = web.Application(middlewares=[faults.middleware])
    app.on_response_prepare.append(date)
    app.add_routes([*Seemetrix(world, now_ms).routes(), *vidicenter.routes()])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield Simulated(f"http://{shown}:{bound[1]}", vidicenter)
    finally:
        await runner.cleanup()
