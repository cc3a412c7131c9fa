"""The faults of the delivery page: with each, no event is lost, duplicated or out of order per key."""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import anyio
import pytest

from tests.faults import table
from tests.faults.brokers import Cluster, cluster
from tests.faults.fault_list import SCENARIOS, Scenario, run_scenario
from tests.faults.leaders import two_node_cluster
from tests.faults.table import Row

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900), pytest.mark.usefixtures("own_kafka")]

SIDE_BY_SIDE = 6
"""Concurrent scenarios, each with a broker of its own, beside those with several: most of their time is waiting."""


async def test_no_fault_loses_duplicates_or_reorders_events(prefix: str, tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_with_several_nodes, prefix, tmp_path)
        tasks.start_soon(run_with_one_node, prefix, tmp_path)


async def run_with_one_node(prefix: str, home: Path) -> None:
    async with AsyncExitStack() as stack:
        clusters = [await stack.enter_async_context(cluster(home / f"{n}", 1)) for n in range(SIDE_BY_SIDE)]
        await run_scenarios(clusters, prefix, home)


async def run_with_several_nodes(prefix: str, home: Path) -> None:
    async with two_node_cluster(home / "two") as two:
        await run_scenarios([two], prefix, home)
    async with cluster(home / "three", 3) as three:
        await run_scenarios([three], prefix, home)


async def run_scenarios(clusters: Sequence[Cluster], prefix: str, home: Path) -> None:
    """Run all scenarios for clusters of this size, each on the first cluster that is free; all must be good."""
    rows: list[Row] = []
    scenarios = [scenario for scenario in SCENARIOS if scenario.nodes == len(clusters[0].nodes)]
    remaining = iter(scenarios)

    async def run_remaining(cluster: Cluster, remaining: Iterator[Scenario]) -> None:
        for scenario in remaining:
            own_prefix = f"{prefix}{scenario.name.replace(' ', '-')}-"
            rows.append(
                await run_scenario(
                    scenario, scenario.every_run, home / own_prefix, own_prefix, Random(own_prefix), cluster
                )
            )
            table.rows.append(rows[-1])

    async with anyio.create_task_group() as tasks:
        for each in clusters:
            tasks.start_soon(run_remaining, each, remaining)
    assert [] == [row for row in rows if not row.is_good]
    assert rows
    assert {scenario.name for scenario in scenarios} == {row.fault for row in rows}
