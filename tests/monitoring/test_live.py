"""A real Prometheus scrapes the real collector: every query of every panel and rule returns data."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from anyio import to_thread

from collector.instants import floor_second, to_ms
from collector.simulator.rules import Rules
from collector.simulator.server import serving
from collector.simulator.world import FAST
from tests.kafka.daemon import until
from tests.kafka.scenario import DEVICES, MAX_CALLS, ZONE, BoundedWorld, Replica, quividi_source, seemetrix_source
from tests.monitoring.definitions import Query, alerts, panel_queries, rule_queries, variables
from tests.monitoring.prometheus import Prometheus, running
from tests.needs import absent, need

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

TIMEOUT_S = 120
VARIABLES = {
    "$__rate_interval": "15s",
    "$__range": "1h",
    "$job": "collector",
    "$instance": ".*",
    "$source": ".*",
    "$stream": ".*",
}
EMPTY = {
    "Alerts For",
    "Firing alerts",
    "Rebalances",
    "Deploys",
    "Of the same hour last week A",
    "Records an hour, a week ago A",
    "Places A",
    "Requests to the schema registry A",
    *(f"Fields not as documented {ref}" for ref in "ABC"),
    "collector:fresh_records:busy_5h",
    *alerts(),
}
"""Queries without results while everything is healthy, or without a week of history.

The expression of an alert may have some for a moment, and so may an annotation.
"""
_LABEL_VALUES = re.compile(r"label_values\((.*), (\w+)\)")
COUNTERS = '[sources.mall.streams.counters]\ninterval = "1s"\n'


def substituted(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


class PendingQueries:
    """The queries that have not returned data yet."""

    def __init__(self, prometheus: Prometheus, queries: list[Query]) -> None:
        self._prometheus = prometheus
        self.queries = queries

    async def are_done(self) -> bool:
        self.queries = [query for query in self.queries if not await self._prometheus.query(substituted(query.expr))]
        return not self.queries


async def test_every_query_returns_data_and_a_moving_stream_is_never_lost(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    need("PROMETHEUS", absent("prometheus"))
    since = floor_second(datetime.now(UTC)) - timedelta(minutes=1)
    world = BoundedWorld(devices=DEVICES, rate=2000.0, pace=FAST, begun_ms=to_ms(since))
    rules = Rules(zone=ZONE, export_s=0.3, calls_per_minute=MAX_CALLS)
    async with serving(world, host="127.0.0.1", port=0, rules=rules) as vendors:
        sources = seemetrix_source(vendors, since) + COUNTERS + quividi_source(vendors, since, DEVICES)
        replicas = [Replica(tmp_path, kafka, prefix, sources) for _ in range(2)]
        targets = [f"127.0.0.1:{replica.port}" for replica in replicas]
        try:
            for replica in replicas:
                replica.start()
            async with running(tmp_path, targets) as prometheus:
                await until(prometheus.is_ready, "Prometheus is ready", TIMEOUT_S)
                await every_query_returns_data(prometheus)
                await a_moving_stream_is_never_lost(prometheus, replicas)
                assert {"ok"} == {rule["health"] for rule in await prometheus.rules()}
        finally:
            for replica in replicas:
                replica.close()


async def every_query_returns_data(prometheus: Prometheus) -> None:
    queries = [*panel_queries(), *rule_queries()]
    pending = PendingQueries(prometheus, [query for query in queries if query.name not in EMPTY])
    try:
        await until(pending.are_done, "every query returns data", TIMEOUT_S)
    except AssertionError:
        raise AssertionError(f"queries without data: {pending.queries}") from None
    for query in queries:
        await prometheus.query(substituted(query.expr))
    for name, values in variables():
        matched = _LABEL_VALUES.fullmatch(values)
        assert matched is not None
        expr = substituted(matched[1].replace('source="$source"', 'source="mall"'))
        assert {labels[matched[2]] for labels, _ in await prometheus.query(expr)}, f"{name} has no values"
    assert [] == await prometheus.query('ALERTS{alertstate="firing"}')


async def a_moving_stream_is_never_lost(prometheus: Prometheus, replicas: list[Replica]) -> None:
    known_streams = "count(collector:success_age_seconds) or vector(0)"

    async def all_live() -> bool:
        states = await prometheus.query("collector:stream_state == 1")
        return ["live"] * 3 == [labels["state"] for labels, _ in states] and [({}, 3.0)] == await prometheus.query(
            known_streams
        )

    async def moved() -> bool:
        raw = f'count(collector_stream_state{{instance="127.0.0.1:{successor.port}", state="live"}} == 1)'
        return [({}, 3.0)] == await prometheus.query(raw) and await all_live()

    await until(all_live, "all streams are live", TIMEOUT_S)
    first, second = replicas
    owner, successor = (first, second) if await first.metric("collector_owned_partitions") else (second, first)
    started = time.monotonic()
    await to_thread.run_sync(owner.stop)
    await until(moved, "the other replica has all streams", TIMEOUT_S)
    took_ms = int(1000 * (time.monotonic() - started))
    assert [({}, 3.0)] == await prometheus.query(f"min_over_time(({known_streams})[{took_ms}ms:250ms])")
