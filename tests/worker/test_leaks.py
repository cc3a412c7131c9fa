"""Nothing grows with the number of polls, of epochs or of reloads.

The live edge of both vendors in simulated time: real requests, exports, ledgers, statuses and metrics.
"""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.simulator.faults import Faults
from collector.simulator.rules import Rules
from collector.simulator.world import World
from tests.census import census, growth
from tests.worker.live_sources import LiveSources, live_sources

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

START = datetime(2026, 11, 3, 4, tzinfo=UTC)
"""A measurement is at the same time of the day: by night, when ledgers are small."""
RATES = {"429": 0.02, "500": 0.02, "truncated": 0.02, "failed_export": 0.02}
MALL = """
[sources.mall]
vendor = "seemetrix"
base_url = "{seemetrix}"
user_id = 864
user_key = "simulated-key"
since = 2026-11-03T03:00:00Z
[sources.mall.streams.sessions]
interval = "10m"
allowed_lateness = "1h"
sweep_every = "30m"
[sources.mall.streams.devices]
interval = "20m"
"""
AIRPORT = """
[sources.airport]
vendor = "quividi"
base_url = "{quividi}"
username = "airport"
token = "simulated-token"
locations = "all"
timezone = "Europe/Paris"
since = 2026-11-03T03:00:00Z
[sources.airport.streams.locations]
interval = "20m"
"""
VIEWERS = """
[sources.airport.streams.viewers]
interval = "20m"
settle = "30m"
allowed_lateness = "2h"
sweep_every = "1h"
"""
POLLS = 144
"""Of each stream, at least, in two days."""
LEAST = 100
"""Less than one object for each poll, and more than by how much ledgers differ."""
RELOADS = 20


async def test_two_days_of_polls_and_epochs_add_nothing(tmp_path: Path) -> None:
    async with at_the_live_edge(tmp_path, MALL + AIRPORT + VIEWERS) as live:
        await _run_days(live, 2)  # an export is remembered for one day, and for three if it has failed
        before, series, commits = census(), len(live.series()), live.state.commits
        await _run_days(live, 2)
        grown = growth(before, census(), LEAST)

    assert live.state.commits > commits + 4 * POLLS
    assert {} == grown
    assert series == len(live.series())


async def test_sources_that_are_added_and_removed_leave_nothing(tmp_path: Path) -> None:
    async with at_the_live_edge(tmp_path, MALL) as live:
        await _reload(live, 2)
        before = census()
        await _reload(live, RELOADS)
        grown = growth(before, census(), RELOADS // 2)

    assert {} == {name: count for name, count in grown.items() if name.startswith("collector.")}
    assert {"mall"} == {labels["source"] for _, labels in live.series() if "source" in labels}


def test_a_container_that_grows_is_found_with_its_items() -> None:
    names = list[str]()
    before = census()
    names += [f"leak {number}" for number in range(POLLS)]
    grown = growth(before, census(), LEAST)

    assert POLLS == grown[f"builtins.list at {id(names):#x}"]
    assert grown["builtins.str"] >= LEAST


def at_the_live_edge(home: Path, config: str) -> AbstractAsyncContextManager[LiveSources]:
    return live_sources(home, config, START, World(rate=10.0), Rules(export_s=20), Faults(RATES))


async def _run_days(live: LiveSources, days: int) -> None:
    """Four epochs a day."""
    for _ in range(4 * days):
        await live.run(timedelta(hours=6))
    await live.forget()


async def _reload(live: LiveSources, times: int) -> None:
    """Add a source of the other vendor and remove it again, and change a stream of the one that stays."""
    for _ in range(times):
        live.apply(MALL.replace('"20m"', '"30m"') + AIRPORT)
        await live.run(timedelta(minutes=20))
        live.apply(MALL)
        await live.run(timedelta(minutes=20))
    await live.forget()
