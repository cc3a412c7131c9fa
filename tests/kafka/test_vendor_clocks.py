"""A vendor's clock is hours behind, and Kafka confirms this machine's: the stream does not wait for the former."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collector.instants import floor_second
from collector.simulator.server import serving
from collector.simulator.world import FAST, World
from tests.kafka.daemon import until
from tests.kafka.scenario import DEVICES, Replica, seemetrix_table

pytestmark = pytest.mark.anyio


async def test_a_clock_that_kafka_convicts_is_reported_and_does_not_delay_the_stream(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    since = floor_second(datetime.now(UTC)) - timedelta(hours=6)
    world = World(seed=5, devices=DEVICES, rate=20.0, pace=FAST)
    async with serving(world, host="127.0.0.1", port=0, date_s=lambda now_s: now_s - 7200) as vendors:
        source = f"""{seemetrix_table(vendors, since)}[sources.mall.streams.sessions]
interval = "1s"
settle = "1s"
allowed_lateness = "20s"
sweep_every = "5s"
"""
        daemon = Replica(tmp_path, kafka, prefix, source)

        async def stream() -> dict[str, Any]:
            code, body = await daemon.get("/api/status")
            found: dict[str, Any] = json.loads(body)["streams"][0] if code == 200 else {}
            return found

        async def is_up_to_date() -> bool:
            lag_s = (await stream()).get("lag_s")
            return lag_s is not None and lag_s < 60

        try:
            daemon.start()
            await until(is_up_to_date, "the watermark is less than a minute behind")
            (notice,) = json.loads((await daemon.get("/api/status"))[1])["sources"][0]["notices"]
        finally:
            daemon.stop()

    host = vendors.address.removeprefix("http://")
    assert host in notice
    assert "vendor_clock_wrong" == daemon.log_lines("clocks_differ")[-1]["code"]
    assert {host} == {line["host"] for line in daemon.log_lines("clocks_differ")}
