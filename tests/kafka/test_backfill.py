"""Older data is published beside live data: nothing is lost or doubled, whenever a replica is killed."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from collector.instants import floor_second
from collector.simulator.rules import Rules
from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.server import serving
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.kafka.daemon import reading, until
from tests.kafka.exact import assert_published_once
from tests.kafka.scenario import (
    DEVICES,
    EVENT_TOPICS,
    MAX_CALLS,
    ZONE,
    Replica,
    busy_world,
    quividi_source,
    seemetrix_source,
)

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]
STREAMS = {SEEMETRIX: "sessions", QUIVIDI: "viewers"}
KILLS = 4


class BackfillingReplica(Replica):
    """A replica, and the command that requests backfills."""

    async def backfill(self, source: str, *arguments: str) -> str:
        """Run the command; return what it prints. It must succeed."""
        done = await anyio.run_process(
            [
                sys.executable,
                "-m",
                "collector",
                "backfill",
                source,
                STREAMS[source],
                *arguments,
                "-c",
                str(self.config),
            ],
            check=False,
            stderr=subprocess.STDOUT,
        )
        text = done.stdout.decode()
        assert not done.returncode, text
        return text

    async def rows(self) -> dict[str, dict[str, Any]]:
        """The status of the backfills, by source."""
        return {row["source"]: row for row in await self.all_rows() if row["backfill"]}


async def test_older_data_is_published_once_beside_live_data(kafka: str, prefix: str, tmp_path: Path) -> None:
    random, start = Random(17), floor_second(datetime.now(UTC))
    since, oldest = start - timedelta(minutes=1), start - timedelta(minutes=5)
    world = busy_world(oldest, start)
    rules = Rules(zone=ZONE, export_s=0.5, calls_per_minute=MAX_CALLS)
    async with serving(world, host="127.0.0.1", port=0, rules=rules) as vendors:
        viewers = quividi_source(vendors, since, DEVICES)
        for key in ('interval = "2s"', 'sweep_every = "4s"'):  # an export takes two seconds: leave time between them
            viewers = viewers.replace(key, f'{key.partition(" ")[0]} = "10s"')
        sources = seemetrix_source(vendors, since) + viewers
        replica = BackfillingReplica(tmp_path, kafka, prefix, sources)

        async def are_live() -> bool:
            return await replica.states() == {"live"}

        async def are_complete() -> bool:
            return {line["source"] for line in replica.log_lines("backfill_complete")} == STREAMS.keys()

        async with reading(kafka, [prefix + topic for topic in EVENT_TOPICS]) as reader:
            try:
                replica.start()
                await until(are_live, "both streams are live")
                for source in STREAMS:
                    await replica.backfill(source, "--from", f"{oldest:%FT%TZ}")
                for _ in range(KILLS):
                    await anyio.sleep(random.uniform(0.2, 3))
                    replica.kill()
                    replica.start()
                await until(are_complete, "both backfills are complete", 120)
                await assert_published_once(replica, reader, vendors, since=oldest, latest=start)
                assert not await replica.rows()
            finally:
                replica.close()
