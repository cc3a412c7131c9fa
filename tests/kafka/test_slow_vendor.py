"""Streams of one partition take turns to commit, and never wait for another stream's vendor."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from collector.instants import floor_second
from collector.simulator.rules import Rules
from collector.simulator.server import Simulated, serving
from tests.kafka.daemon import EVENTS, reading, until
from tests.kafka.scenario import DEVICES, ZONE, Replica, busy_world, quividi_source, seemetrix_source
from tests.vendors.loopback import tcp_server

pytestmark = pytest.mark.anyio


async def test_a_vendor_that_never_responds_delays_no_other_source(kafka: str, prefix: str, tmp_path: Path) -> None:
    start = floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=3)
    world = busy_world(since, start)
    async with (
        serving(world, host="127.0.0.1", port=0, rules=Rules(zone=ZONE)) as vendors,
        tcp_server(lambda _: anyio.sleep_forever()) as silent,
        reading(kafka, [prefix + topic for topic in EVENTS]) as reader,
    ):
        with_silent_quividi = Simulated(silent, vendors.vendors)
        sources = seemetrix_source(vendors, since) + quividi_source(with_silent_quividi, since, DEVICES)
        daemon = Replica(tmp_path, kafka, prefix, sources.replace('timeout = "5s"', 'timeout = "1h"'))
        text = daemon.config.read_text("utf-8").replace("state_partitions = 4", "state_partitions = 1")
        daemon.config.write_text(text, "utf-8")

        async def up_to_date() -> bool:
            row = (await daemon.streams()).get("mall", {})
            is_current = row.get("state") == "live" and datetime.fromisoformat(row["watermark"]) > start
            return is_current and await reader.has(100)

        try:
            daemon.start()
            await until(up_to_date, "the sessions are published up to now")
            assert "catching_up" == (await daemon.streams())["airport"]["state"]
            assert (200, "ready\n") == await daemon.get("/readyz")
            daemon.stop()
        finally:
            daemon.close()
