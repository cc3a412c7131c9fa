"""Older data is published beside live data: nothing is lost or doubled, whenever a replica is killed."""

import signal
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

    async def reload(self, sources: str, changed: str) -> None:
        """Replace this part of the configuration, and wait until it is in use."""
        before = len(self.log_lines("config_reloaded"))
        text = self.config.read_text("utf-8")
        assert sources in text
        self.config.write_text(text.replace(sources, changed), "utf-8")
        self.send(signal.SIGHUP)

        async def is_logged() -> bool:
            return len(self.log_lines("config_reloaded")) > before

        await until(is_logged, "the configuration is reloaded")


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


async def test_a_zone_that_is_corrected_while_older_data_is_published_doubles_nothing(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    """In a zone one hour to the west, all that the backfill has published starts after `since`."""
    now = floor_second(datetime.now(UTC))
    since = now - timedelta(minutes=62)
    oldest, latest = since - timedelta(minutes=4), since + timedelta(minutes=5)
    world = busy_world(oldest, latest)
    rules = Rules(zone=ZONE, export_s=0.1, calls_per_minute=MAX_CALLS)
    async with serving(world, host="127.0.0.1", port=0, rules=rules) as vendors:
        viewers = quividi_source(vendors, since, DEVICES)
        for key in ('interval = "2s"', 'sweep_every = "4s"'):  # as above
            viewers = viewers.replace(key, f'{key.partition(" ")[0]} = "10s"')
        waiting = viewers.replace('allowed_lateness = "20s"', 'allowed_lateness = "3h"')
        western = waiting.replace(ZONE, "Asia/Manila")
        assert 3 == len({viewers, waiting, western})
        replica = BackfillingReplica(tmp_path, kafka, prefix, seemetrix_source(vendors, oldest) + waiting)

        async def are_live() -> bool:
            return await replica.states() == {"live"}

        async def has_all() -> bool:
            row = (await replica.rows()).get(QUIVIDI)
            return row is not None and row["backfill"]["share"] == 1

        async def is_stopped() -> bool:
            return bool(replica.log_lines("backfill_zones_changed")) and not await replica.rows()

        async def has_swept() -> bool:
            """It has polled the hour since its start, and begun again."""
            owned = [line for line in replica.log_lines("stream_owned") if line["stream"] == "viewers"]
            polled = [line for line in replica.log_lines("polled") if line["stream"] == "viewers"]
            return len([line for line in polled if line["timestamp"] > owned[-1]["timestamp"]]) > 4 and await are_live()

        async def is_complete() -> bool:
            return bool(replica.log_lines("backfill_complete"))

        async with reading(kafka, [prefix + topic for topic in EVENT_TOPICS]) as reader:
            try:
                replica.start()
                await until(are_live, "both streams are live")
                await replica.backfill(QUIVIDI, "--from", f"{oldest:%FT%TZ}")
                await until(has_all, "the backfill waits for late records", 60)
                await replica.reload(waiting, western)
                await until(is_stopped, "the backfill is stopped")
                await until(has_swept, "the stream has fetched everything in the western zone", 60)
                await replica.reload(western, viewers)
                await until(is_complete, "the backfill is complete in the former zone", 60)
                await assert_published_once(replica, reader, vendors, since=oldest, latest=latest)
            finally:
                replica.close()
