"""The list of all faults, and how often each is injected: the rows of the delivery page's table."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from msgspec import Struct, structs

from tests.faults import (
    clocks,
    crashes,
    fences,
    leaders,
    log_targets,
    moves,
    network,
    pauses,
    quotas,
    reloads,
    replays,
    state_loss,
)
from tests.faults.brokers import Cluster
from tests.faults.table import Row
from tests.faults.testbed import testbed, verdict

ROUNDS = 10
"""The long run consists of this many rounds; each injects every fault, in a random order."""

Fault: TypeAlias = Callable[[Any, int], Awaitable[int | Row]]
"""Injects the fault into a testbed about this many times.

Returns how often it did so, or a row, if the testbed's own verdict does not apply to the fault.
"""


class Scenario(Struct, frozen=True):
    """A fault, which is a row of the table."""

    name: str
    fault: Fault
    every_run: int
    """How many times the tests inject it, at each step or in each request."""
    long_run: int
    """How many times `make soak` injects it."""
    nodes: int = 1
    """The size of the cluster. Of two nodes, one can be cut off from the controller."""
    testbed: Callable[[Path, str, Random, Cluster], AbstractAsyncContextManager[Any]] = testbed


SCENARIOS = (  # the longest first: they run concurrently, and the short ones fill the gaps
    Scenario("restored under a quota", quotas.restored_under_a_quota, 1, 3),
    Scenario("one fence among 64 accounts", fences.one_among_many, 2, 20, testbed=fences.many_accounts),
    Scenario("network fails", network.network_fails, 1, 10),
    Scenario("state topic re-created", state_loss.topic_recreated, 1, 5),
    Scenario("state partition removed", state_loss.partition_removed, 1, 5),
    Scenario("state partition cut in half", state_loss.partition_cut, 1, 5),
    Scenario("killed at each step", crashes.killed_at_each_step, 2, 20),
    Scenario("killed at random", crashes.killed_at_random, 20, 200),
    Scenario("broker killed or stopped", crashes.broker_killed, 2, 60),
    Scenario("paused beyond the session", crashes.paused, 3, 50),
    Scenario("paused and resumed under load", pauses.paused_and_resumed, 2, 20),
    Scenario("dead letters replayed", replays.replayed, 2, 20),
    Scenario("older data beside live data", reloads.backfilled, 2, 20),
    Scenario("configuration reloaded under load", reloads.reloaded, 2, 20),
    Scenario("rolling restart of three", crashes.rolling_restart, 6, 60),
    Scenario("cut off from the vendors", network.cut_off_from_the_vendors, 4, 40),
    Scenario("all brokers move", moves.all_brokers_move, 1, 5),
    Scenario("clock two hours ahead", clocks.clock_ahead, 1, 1),
    Scenario("cut off from the group", network.cut_off_from_the_group, 2, 20),
    Scenario("replicas come and go", crashes.joining_and_leaving, 6, 100),
    Scenario("log target fails", log_targets.log_target_fails, 1, 10),
    Scenario("vendors fail", crashes.vendors_fail, 50, 500),
    Scenario("deposed leader", leaders.deposed_leader, 2, 20, nodes=2),
    Scenario("cut off from one node of three", network.cut_off_from_one_of_three, 3, 30, nodes=3),
    Scenario("one node of three dies", crashes.one_of_three_dies, 3, 30, nodes=3),
)


async def run_scenario(
    scenario: Scenario, times: int, home: Path, prefix: str, random: Random, cluster: Cluster
) -> Row:
    """Inject the fault into a testbed of its own, whose files are in the new folder `home`. Returns the results."""
    home.mkdir()  # noqa: ASYNC240 - it takes no time
    async with scenario.testbed(home, prefix, random, cluster) as found:
        done = await scenario.fault(found, times)
        if isinstance(done, Row):
            return structs.replace(done, fault=scenario.name)
        return await verdict(found, scenario.name, done)


def long_run(random: Random, rounds: Iterable[int] = range(1, ROUNDS + 1)) -> Iterator[tuple[Scenario, int]]:
    """The trials of these rounds of `make soak`: scenarios, and how many times each injects its fault."""
    for number in rounds:
        for scenario in random.sample(SCENARIOS, len(SCENARIOS)):
            times = number * scenario.long_run // ROUNDS - (number - 1) * scenario.long_run // ROUNDS
            if times:  # a fault that is injected less often than once per round is not in every round
                yield scenario, times
