"""All simulated vendors at one address."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import TypeVar

from aiohttp import web
from msgspec import Struct

from collector.simulator.base import SimulatedVendor, Simulation
from collector.simulator.faults import Faults
from collector.simulator.rules import Rules
from collector.simulator.vendors import VENDORS
from collector.simulator.world import World

V = TypeVar("V", bound=SimulatedVendor)


class Simulated(Struct, frozen=True):
    """The running simulated vendors."""

    address: str
    """`http://host:port`."""
    vendors: Sequence[SimulatedVendor]

    def url(self, vendor: str) -> str:
        """`base_url` for the vendor of this name. Raises KeyError if it is not simulated."""
        paths = {each.vendor: each.base_path for each in self.vendors}
        return self.address + paths[vendor]

    def vendor(self, kind: type[V]) -> V:
        """The running vendor of this class. Raises KeyError if it is not simulated."""
        for each in self.vendors:
            if isinstance(each, kind):
                return each
        raise KeyError(kind.__name__)


@asynccontextmanager
async def serving(
    world: World,
    *,
    host: str,
    port: int,
    rules: Rules | None = None,
    faults: Faults | None = None,
    clock_offset_s: Callable[[], int] = int,
    date_s: Callable[[int], int] = int,
) -> AsyncIterator[Simulated]:
    """Serve until the end of the block. The vendors' clock is ahead of this machine's by what `clock_offset_s` returns.

    `date_s` returns the time of the header `Date`, given that of the vendors' clock, both in Unix seconds.

    Port 0 selects a free port. Raises OSError when the server cannot listen at the address.
    """

    def now_ms() -> int:
        return time.time_ns() // 1_000_000 + clock_offset_s() * 1000

    async def set_date(_: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(date_s(now_ms() // 1000), usegmt=True)

    simulation = Simulation(world, now_ms, rules or Rules(), faults or Faults())
    vendors = tuple(kind(simulation) for kind in VENDORS)
    app = web.Application(middlewares=[simulation.faults.middleware])
    app.on_response_prepare.append(set_date)
    app.add_routes([route for vendor in vendors for route in vendor.routes()])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound_host, bound_port = runner.addresses[0][:2]
        yield Simulated(f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{bound_port}", vendors)
    finally:
        await runner.cleanup()
