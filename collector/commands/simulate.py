"""`collector simulate`: both vendors as HTTP servers, for trying things out."""

import signal
from collections.abc import Mapping

import anyio
from rich.console import Console

from collector.errors import UserError
from collector.simulator import seemetrix, vidicenter
from collector.simulator.faults import KINDS, Faults
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import Rules
from collector.simulator.world import FAST, REAL, World
from collector.vendors.http import is_private

FIRST_DEVICE = 3001


def world(*, seed: int, devices: int, rate: float, fast: bool) -> World:
    """Devices, which are VidiCenter's locations too, are numbered from `FIRST_DEVICE`."""
    numbers = tuple(range(FIRST_DEVICE, FIRST_DEVICE + devices))
    return World(seed, numbers, rate, FAST if fast else REAL)


def rules(*, fast: bool) -> Rules:
    """Of the simulated VidiCenter."""
    return Rules(export_s=0.3, calls_per_minute=100_000) if fast else Rules()


def simulate(simulated: World, address: tuple[str, int], faults: Mapping[str, float], *, fast: bool) -> None:
    """Serve until Ctrl-C. Raises UserError."""
    anyio.run(_simulate, simulated, address, Faults(faults, simulated.seed), rules(fast=fast))


async def _simulate(simulated: World, address: tuple[str, int], faults: Faults, chosen: Rules) -> None:
    host, port = address
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with serving(simulated, host=host, port=port, rules=chosen, faults=faults) as running:
                Console(highlight=False, markup=False, soft_wrap=True).print(configuration(running, simulated))
                async for _ in signals:
                    break
    except OSError as error:
        raise UserError(f"--listen {host}:{port}: {error.strerror or error}") from error


def configuration(running: Simulated, simulated: World) -> str:
    """The sources to put into a configuration."""
    places = ", ".join(map(str, simulated.devices))
    insecure = "" if is_private(running.address, insecure_http=False) else "insecure_http = true\n"
    return f"""# Both vendors are simulated until Ctrl-C. Put this into a configuration:

[sources.mall]
vendor = "seemetrix"
base_url = "{running.seemetrix_url}"
user_id = {seemetrix.USER}
user_key = "{seemetrix.KEY}"
{insecure}
[sources.airport]
vendor = "quividi"
base_url = "{running.quividi_url}"
username = "{vidicenter.USERNAME}"
token = "{vidicenter.TOKEN}"
locations = [{places}]
timezone = "{Rules().zone}"
{insecure}"""


def parse_faults(given: list[str]) -> dict[str, float]:
    """`429=0.05` and so on. Raises UserError."""
    rates = {}
    for each in given:
        kind, _, rate = each.partition("=")
        try:
            rates[kind] = float(rate)
        except ValueError:
            rates[kind] = -1.0
        if kind not in KINDS or not 0 <= rates[kind] <= 1:
            raise UserError(f"--fault {each}: expected KIND=RATE, a rate from 0 to 1 of one of {', '.join(KINDS)}")
    return rates
