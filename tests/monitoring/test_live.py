"""A real Prometheus beside the real collector: every query of every panel and rule finds what it is about."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from anyio import to_thread

from collector.instants import floor_second, to_ms
from collector.simulator.server import serving
from collector.simulator.vidicenter import Rules
from collector.simulator.world import FAST
from tests.kafka.daemon import until
from tests.kafka.scenario import DEVICES, MAX_CALLS, ZONE, BoundedWorld, Replica, quividi_source, seemetrix_source
from tests.monitoring.prometheus import Prometheus, running
from tests.monitoring.written import Query, alerts, panel_queries, rule_queries
from tests.needs import absent, need

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

WITHIN_S = 120
VARIABLES = {
    "$__rate_interval": "15s",
    "$__range": "1h",
    "$job": "collector",
    "$instance": ".*",
    "$source": ".*",
    "$stream": ".*",
}
EMPTY = {"Alerts For", *alerts()}
"""Queries that find nothing while all is well. For a moment, an alert's may: it is told only when that lasts."""
COUNTERS = '[sources.mall.streams.counters]\ninterval = "1s"\n'


def substituted(expr: str) -> str:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    return expr


class Unanswered:
    """The queries that found nothing yet."""

    def __init__(self, prometheus: Prometheus, queries: list[Query]) -> None:
        self._prometheus = prometheus
        self.left = queries

    async def are_none(self) -> bool:
        self.left = [query for query in self.left if not await self._prometheus.query(substituted(query.expr))]
        return not self.left


async def test_every_query_is_answered_and_a_stream_that_moves_is_known_all_along(
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
                await until(prometheus.is_ready, "Prometheus is ready", WITHIN_S)
                await every_query_is_answered(prometheus)
                await a_stream_that_moves_is_known_all_along(prometheus, replicas)
                assert {"ok"} == {rule["health"] for rule in await prometheus.rules()}
        finally:
            for replica in replicas:
                replica.close()


async def every_query_is_answered(prometheus: Prometheus) -> None:
    queries = [*panel_queries(), *rule_queries()]
    unanswered = Unanswered(prometheus, [query for query in queries if query.place not in EMPTY])
    try:
        await until(unanswered.are_none, "every query finds something", WITHIN_S)
    except AssertionError:
        raise AssertionError(f"never found anything: {unanswered.left}") from None
    for query in queries:
        await prometheus.query(substituted(query.expr))
    assert [] == await prometheus.query('ALERTS{alertstate="firing"}')


async def a_stream_that_moves_is_known_all_along(prometheus: Prometheus, replicas: list[Replica]) -> None:
    known = "count(collector:success_age_seconds) or vector(0)"

    async def all_live() -> bool:
        states = await prometheus.query("collector:stream_state == 1")
        return ["live"] * 3 == [labels["state"] for labels, _ in states] and [({}, 3.0)] == await prometheus.query(
            known
        )

    async def moved() -> bool:
        raw = f'count(collector_stream_state{{instance="127.0.0.1:{heir.port}", state="live"}} == 1)'
        return [({}, 3.0)] == await prometheus.query(raw) and await all_live()

    await until(all_live, "all streams are live", WITHIN_S)
    first, second = replicas
    owner, heir = (first, second) if await first.metric("collector_owned_partitions") else (second, first)
    began = time.monotonic()
    await to_thread.run_sync(owner.stop)
    await until(moved, "the other replica has all streams", WITHIN_S)
    took_ms = int(1000 * (time.monotonic() - began))
    assert [({}, 3.0)] == await prometheus.query(f"min_over_time(({known})[{took_ms}ms:250ms])")
