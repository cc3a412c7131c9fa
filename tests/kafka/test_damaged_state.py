"""A damaged record in the state topic of a real broker parks its own stream, until an operator removes the record."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import aiokafka
import pytest

from collector.kafka.epoch import partition_of
from tests.commands.harness import collector
from tests.kafka.daemon import Daemon, until
from tests.vendor import USER, Known, Vendor, serving, session

pytestmark = pytest.mark.anyio


async def test_the_neighbours_of_a_damaged_stream_go_on_and_it_continues_after_a_repair(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    vendor = Vendor([Known(session(now - timedelta(seconds=30), Random(1), 1), now)])
    key, partition = f"seemetrix/{USER}/mall/sessions/\n/0".encode(), partition_of(f"seemetrix/{USER}", 4)
    async with serving(vendor):
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=f"{now - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}")
        text = daemon.config.read_text("utf-8")
        copy = text[text.index("[sources.mall]") :].replace("sources.mall", "sources.hall")
        daemon.config.write_text(f"{text}\n{copy}", "utf-8")

        async def states() -> dict[str, str]:
            code, body = await daemon.get("/api/status")
            return {each["source"]: each["state"] for each in json.loads(body)["streams"]} if code == 200 else {}

        async def both_run() -> bool:
            return await states() == {"mall": "live", "hall": "live"}

        async def only_hall_runs() -> bool:
            return await states() == {"mall": "parked", "hall": "live"}

        async def write(value: bytes | None) -> None:
            daemon.stop()
            async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka) as producer:
                topic = f"{prefix}collector.state"
                await producer.send_and_wait(topic, value, key=key, partition=partition)
            daemon.start()

        try:
            daemon.start()
            await until(both_run, "both streams run")
            await write(b"damaged")
            await until(only_hall_runs, "the damaged stream is parked, and its neighbour runs")
            assert await daemon.is_ready()
            shown = await collector("state", "show", "--config", str(daemon.config))
            assert 0 == shown.code
            assert 3 == len(shown.out.splitlines()), "a header and both streams"
            assert f"seemetrix/{USER}/mall/sessions/\\n/0" in shown.err.replace("\n", "")
            await write(None)
            await until(both_run, "both streams run again")
            assert not daemon.log_lines("unexpected")
        finally:
            daemon.close()
