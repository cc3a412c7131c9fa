"""The table of the delivery page: 0 lost, 0 duplicated, 0 out of order per key, whatever happens."""

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import anyio
import pytest

from tests.faults import table
from tests.faults.brokers import Cluster, cluster
from tests.faults.fault_list import SCENARIOS, Scenario, perform
from tests.faults.leaders import two_node_cluster
from tests.faults.table import Row

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900), pytest.mark.usefixtures("own_kafka")]

SIDE_BY_SIDE = 5
"""Scenarios, each with a broker of its own: two cores, and most of the time is waiting."""


async def test_nothing_is_lost_doubled_or_out_of_order_whatever_happens(prefix: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        clusters = [await stack.enter_async_context(cluster(tmp_path / f"{n}", 1)) for n in range(SIDE_BY_SIDE)]
        rows = await performed(clusters, prefix, tmp_path)
    assert [] == [row for row in rows if not row.is_good]


async def test_nothing_is_either_while_a_deposed_leader_goes_on(prefix: str, tmp_path: Path) -> None:
    async with two_node_cluster(tmp_path / "cluster") as two:
        rows = await performed([two], prefix, tmp_path)
    assert [] == [row for row in rows if not row.is_good]


async def test_nothing_is_either_on_three_nodes(prefix: str, tmp_path: Path) -> None:
    async with cluster(tmp_path / "cluster", 3) as three:
        rows = await performed([three], prefix, tmp_path)
    assert [] == [row for row in rows if not row.is_good]


async def performed(clusters: Sequence[Cluster], prefix: str, home: Path) -> list[Row]:
    """Every scenario for clusters of this size, each on the first that is free."""
    rows: list[Row] = []
    left = iter([scenario for scenario in SCENARIOS if scenario.nodes == len(clusters[0].nodes)])

    async def perform_in_turn(cluster: Cluster, left: Iterator[Scenario]) -> None:
        for scenario in left:
            own = f"{prefix}{scenario.name.replace(' ', '-')}-"
            rows.append(await perform(scenario, scenario.every_run, home / own, own, Random(own), cluster))
            table.rows.append(rows[-1])

    async with anyio.create_task_group() as tasks:
        for each in clusters:
            tasks.start_soon(perform_in_turn, each, left)
    return rows
