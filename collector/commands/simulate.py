"""`collector simulate`: the simulated vendors as an HTTP server, for trials."""

import json
import signal
from collections.abc import Mapping, Sequence

import anyio
from rich.console import Console

from collector.errors import UserError
from collector.settings import can_carry_secrets
from collector.simulator.faults import KINDS, Faults
from collector.simulator.rules import Rules
from collector.simulator.server import Simulated, serving
from collector.simulator.world import FAST, REAL, World

FIRST_DEVICE = 3001


def make_world(*, seed: int, devices: int, rate: float, fast: bool) -> World:
    """A world whose devices are numbered from `FIRST_DEVICE`. `rate` is in visits per hour and device."""
    numbers = tuple(range(FIRST_DEVICE, FIRST_DEVICE + devices))
    return World(seed, numbers, rate, FAST if fast else REAL)


def make_rules(*, fast: bool) -> Rules:
    """The default rules; if `fast`, with short exports and without an effective limit of requests."""
    return Rules(export_s=0.3, calls_per_minute=100_000) if fast else Rules()


def simulate(world: World, address: tuple[str, int], faults: Mapping[str, float], *, fast: bool) -> None:
    """Serve until SIGINT or SIGTERM. `faults` are rates by kind.

    Raises UserError when the server cannot listen at the address.
    """
    anyio.run(_simulate, world, address, Faults(faults, world.seed), make_rules(fast=fast))


async def _simulate(world: World, address: tuple[str, int], faults: Faults, rules: Rules) -> None:
    host, port = address
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with serving(world, host=host, port=port, rules=rules, faults=faults) as running:
                Console(highlight=False, markup=False, soft_wrap=True).print(configuration(running))
                async for _ in signals:
                    break
    except OSError as error:
        raise UserError(f"--listen {host}:{port}: {error.strerror or error}", code="cannot_listen") from error


def configuration(running: Simulated) -> str:
    """The tables of the simulated sources, in TOML, to copy into a configuration."""
    insecure = "" if can_carry_secrets(running.address, insecure_http=False) else "insecure_http = true\n"
    tables = ["# The simulated vendors run until Ctrl-C. Copy this into a configuration:\n"]
    for vendor in running.vendors:
        vendor_line, *others = (f"{key} = {_toml(value)}\n" for key, value in vendor.source_table().items())
        base_url = f"base_url = {_toml(running.url(vendor.vendor))}\n"
        tables.append("".join((f"[sources.{vendor.source}]\n", vendor_line, base_url, *others, insecure)))
    return "\n".join(tables)


def _toml(value: str | int | Sequence[int]) -> str:
    return json.dumps(value, ensure_ascii=False)


def parse_faults(options: Sequence[str]) -> dict[str, float]:
    """The rates of faults by kind, from options such as `429=0.05`. Raises UserError."""
    rates = {}
    for option in options:
        kind, _, rate = option.partition("=")
        try:
            rates[kind] = float(rate)
        except ValueError:
            rates[kind] = -1.0
        if kind not in KINDS or not 0 <= rates[kind] <= 1:
            text = (
                f"--fault {option}: expected KIND=RATE with a rate from 0 to 1 and one of the kinds {', '.join(KINDS)}"
            )
            raise UserError(text, code="invalid_fault")
    return rates
