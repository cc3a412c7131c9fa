"""Two tenants on one Kafka: each source has topics of its own, and all share state and progress."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from collector.commands.verdict import judge
from collector.instants import floor_second
from collector.simulator.rules import Rules
from collector.simulator.server import serving
from tests.kafka.daemon import reading, until
from tests.kafka.scenario import (
    DEVICES,
    EVENT_TOPICS,
    MAX_CALLS,
    ZONE,
    Replica,
    busy_world,
    quividi_source,
    read_all,
    seemetrix_source,
    verdict_reader,
)

pytestmark = pytest.mark.anyio


async def test_each_source_publishes_into_its_own_topics(kafka: str, prefix: str, tmp_path: Path) -> None:
    start = floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=3)
    world = busy_world(since, start)
    rules = Rules(zone=ZONE, export_s=0.5, calls_per_minute=MAX_CALLS)
    tenants = {"seemetrix": f"{prefix}north.", "quividi": f"{prefix}south."}
    async with serving(world, host="127.0.0.1", port=0, rules=rules) as vendors:
        tables = seemetrix_source(vendors, since), quividi_source(vendors, since, DEVICES)
        sources = "".join(
            table.replace('timeout = "5s"', f'timeout = "5s"\ntopic_prefix = "{tenant}"', 1)
            for table, tenant in zip(tables, tenants.values(), strict=True)
        )
        topics = [tenants[topic.partition(".")[0]] + topic for topic in EVENT_TOPICS]
        daemon = Replica(tmp_path, kafka, prefix, sources)
        async with reading(kafka, topics) as reader:
            try:
                daemon.start()

                async def is_final() -> bool:
                    found = await daemon.checkpoints()
                    return bool(found) and all(each is not None and each.final > start for each in found.values())

                await until(is_final, "everything is final", 90)
                received = verdict_reader(await read_all(reader))
                checkpoints = {name: each for name, each in (await daemon.checkpoints()).items() if each is not None}
            finally:
                daemon.close()
        verdict = judge(vendors.vendors, since, checkpoints, received)
    assert (0, 0) == (verdict.missing, verdict.duplicated)
    assert verdict.simulated > 100

    existing = set(AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics)
    letters = {f"{tenant}collector.dead_letters" for tenant in tenants.values()}
    shared = {f"{prefix}collector.state", f"{prefix}collector.progress"}
    assert {*topics, *letters, *shared} == {name for name in existing if name.startswith(prefix)}
