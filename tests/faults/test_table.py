"""The table of the delivery page: 0 lost, 0 duplicated, 0 out of order per key, whatever happens."""

from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.faults import scenarios, table
from tests.faults.brokers import ProxiedBroker, cluster
from tests.faults.network import cut_off_from_the_group, network_fails
from tests.faults.proxy import Proxy
from tests.faults.scenarios import Fault
from tests.faults.stage import Row, stage, verdict
from tests.kafka.broker import running
from tests.kafka.town import Counted

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

AT_ONCE = 3
"""Scenarios side by side: two cores, and most of the time is waiting."""


async def test_nothing_is_lost_doubled_or_out_of_order_whatever_happens(
    kafka: str, proxied: ProxiedBroker, proxy: Proxy, prefix: str, tmp_path: Path
) -> None:
    rows: list[Row] = []
    turns = anyio.Semaphore(AT_ONCE)
    unwell = Counted(scenarios.UNWELL, seed=1)

    async def run(
        name: str, fault: Fault, times: int, broker: str = kafka, *, direct: str = "", faults: Counted | None = None
    ) -> None:
        async with turns:
            own = f"{prefix}{name.replace(' ', '-')}-"
            rows.append(await _row(tmp_path / own, own, name, fault, times, broker, direct or broker, faults))

    with running(tmp_path / "broker") as broker:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run, "broker killed or stopped", scenarios.broker_killed(broker), 2, broker.address)
            tasks.start_soon(run, "killed at each step", scenarios.killed_at_each_step, 2)
            tasks.start_soon(run, "killed at random", scenarios.killed_at_random, 20)
            tasks.start_soon(run, "paused beyond the session", scenarios.paused, 3)
            tasks.start_soon(run, "replicas come and go", scenarios.joining_and_leaving, 6)
            tasks.start_soon(run, "rolling restart of three", scenarios.rolling_restart, 6)
            through_proxy = partial(run, direct=proxied.address)
            tasks.start_soon(through_proxy, "network fails", network_fails(proxy), 1, proxy.address)
            tasks.start_soon(partial(run, faults=unwell), "vendor unwell", scenarios.vendor_unwell(unwell), 50)
    assert [] == [row for row in rows if not row.is_good]


async def test_a_replica_that_is_cut_off_from_the_group_alone_fences_nobody_in_turns(
    proxied: ProxiedBroker, proxy: Proxy, prefix: str, tmp_path: Path
) -> None:
    broker, fault = proxied.address, cut_off_from_the_group(proxy)
    assert (await _row(tmp_path / "stage", prefix, "cut off from the group", fault, 2, broker, broker, None)).is_good


@pytest.mark.usefixtures("kafka")  # where that is not to be had, this is not either
async def test_a_node_of_three_may_die_with_the_leaders_and_coordinators_that_it_has(
    prefix: str, tmp_path: Path
) -> None:
    with cluster(tmp_path / "cluster") as nodes:
        brokers, fault = ",".join(node.address for node in nodes), scenarios.one_of_three_dies(nodes)
        name = "one node of three dies"
        assert (await _row(tmp_path / "stage", prefix, name, fault, 3, brokers, brokers, None)).is_good


async def _row(
    home: Path, prefix: str, name: str, fault: Fault, times: int, broker: str, direct: str, faults: Counted | None
) -> Row:
    home.mkdir()  # noqa: ASYNC240 - it is there at once
    async with stage(home, broker, prefix, direct=direct, faults=faults) as found:
        done = await fault(found, times)
        row = await verdict(found, direct, prefix, name, done)
    table.rows.append(row)
    return row
