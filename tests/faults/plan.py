"""Which faults there are, and how often each is done: the table of the delivery page."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import TypeAlias

from msgspec import Struct

from tests.faults import log_targets, network, scenarios
from tests.faults.brokers import Cluster
from tests.faults.stage import Stage, stage, verdict
from tests.faults.table import Row

LAPS = 10
"""The long run is so many of about what every run does: each lap does every fault, in an order of its own."""

Fault: TypeAlias = Callable[[Stage, int], Awaitable[int]]
"""Does it about so many times; returns how often it did."""


class Scenario(Struct, frozen=True):
    """One row."""

    name: str
    fault: Fault
    every_run: int
    """How many times the tests do it: at each step, in each place."""
    long_run: int
    nodes: int = 1
    """Of the cluster that it happens to."""


SCENARIOS = (  # the longest first: side by side, the short ones fill what is left
    Scenario("network fails", network.network_fails, 1, 10),
    Scenario("killed at each step", scenarios.killed_at_each_step, 2, 20),
    Scenario("killed at random", scenarios.killed_at_random, 20, 200),
    Scenario("broker killed or stopped", scenarios.broker_killed, 2, 50),
    Scenario("paused beyond the session", scenarios.paused, 3, 50),
    Scenario("rolling restart of three", scenarios.rolling_restart, 6, 60),
    Scenario("cut off from the vendors", network.cut_off_from_the_vendors, 4, 40),
    Scenario("cut off from the group", network.cut_off_from_the_group, 2, 20),
    Scenario("replicas come and go", scenarios.joining_and_leaving, 6, 100),
    Scenario("log target fails", log_targets.log_target_fails, 1, 10),
    Scenario("vendors unwell", scenarios.vendors_unwell, 50, 500),
    Scenario("cut off from one node of three", network.cut_off_from_one_of_three, 3, 30, nodes=3),
    Scenario("one node of three dies", scenarios.one_of_three_dies, 3, 30, nodes=3),
)


async def perform(scenario: Scenario, times: int, home: Path, prefix: str, random: Random, cluster: Cluster) -> Row:
    """What it did; the home is made for it."""
    home.mkdir()  # noqa: ASYNC240 - it is there at once
    async with stage(home, prefix, random, cluster) as found:
        return await verdict(found, scenario.name, await scenario.fault(found, times))


def long_run(random: Random) -> Iterator[tuple[Scenario, int]]:
    """What is to be done, and how many times."""
    for _ in range(LAPS):
        for scenario in random.sample(SCENARIOS, len(SCENARIOS)):
            yield scenario, scenario.long_run // LAPS
