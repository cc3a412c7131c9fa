"""A log line that cannot be written changes nothing but a counter: the daemon publishes, answers and ends as always."""

import json
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from tests.kafka.daemon import EVENTS, Daemon, TopicReader, contents, reading, until
from tests.kafka.log_targets import ERRORS, TARGETS, LogTarget, started
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

STOP_S = 10
"""For a daemon that has nothing to finish: without Kafka's answers it would need 25."""
UNREAD = next(target for target in TARGETS if target.pipe == "unread")


class Watched:
    """A daemon, and what it must publish."""

    def __init__(self, daemon: Daemon, vendor: Vendor, reader: TopicReader) -> None:
        self.daemon = daemon
        self.expected = Counter[tuple[str, str]]()
        self._vendor = vendor
        self._reader = reader
        self._random = Random(7)

    async def publishes(self) -> None:
        """Return when two more sessions are published, each of their events once."""
        for _ in range(2):
            begin = datetime.now(UTC) - timedelta(seconds=5)
            added = session(begin, self._random, len(self._vendor.known))
            self._vendor.known.append(Known(added, begin))
            self.expected.update(expected_events(added))
        await until(self._is_there, "the sessions are published")
        assert self.expected == contents(self._reader.received)

    async def ends(self) -> None:
        """SIGTERM ends it with exit code 0, and nothing was published twice."""
        self.daemon.send(15)
        assert 0 == await anyio.to_thread.run_sync(self.daemon.wait, STOP_S)
        assert self.expected == contents(await self._reader.to_the_end())

    async def _is_there(self) -> bool:
        return not self.expected - contents(await self._reader.poll())

    async def loses_lines(self) -> bool:
        return await self.daemon.metric(ERRORS) > 0


@asynccontextmanager
async def watched(kafka: str, prefix: str, home: Path) -> AsyncIterator[Watched]:
    vendor = Vendor([])
    since = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(home, kafka, prefix, vendor, since=since)
        try:
            yield Watched(daemon, vendor, reader)
        finally:
            daemon.close()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
async def test_a_target_that_takes_no_line_changes_nothing_but_the_count(
    kafka: str, prefix: str, tmp_path: Path, target: LogTarget
) -> None:
    async with watched(kafka, prefix, tmp_path) as found:
        with started(found.daemon, target):
            await until(found.daemon.is_ready, "the daemon is ready")
            await found.publishes()
            if target.is_writable:
                assert not await found.loses_lines()
            else:
                await until(found.loses_lines, "lines are lost")
                await found.publishes()
            assert (200, "ready\n") == await found.daemon.get("/readyz")
            await found.ends()


async def test_lines_come_again_when_somebody_reads_and_the_log_says_how_many_were_lost(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    async with watched(kafka, prefix, tmp_path) as found, anyio.create_task_group() as tasks:
        with started(found.daemon, UNREAD) as end:
            assert end is not None
            await until(found.loses_lines, "lines are lost")
            lost = await found.daemon.metric(ERRORS)
            log = Log(end)
            tasks.start_soon(log.follow)
            await until(log.goes_on, "lines come again")
            await found.publishes()
            await found.ends()
            await log.ended.wait()
    gaps = [line for line in log.lines() if line["event"] == "log_lines_lost"]
    assert {"warning"} == {line["level"] for line in gaps}
    assert sum(line["lines"] for line in gaps) >= lost
    assert "stopping" in [line["event"] for line in log.lines()[log.lines().index(gaps[0]) :]]


class Log:
    """What comes out of a pipe, as lines."""

    def __init__(self, end: int) -> None:
        self.ended = anyio.Event()
        self._end = end
        self._text = b""
        os.set_blocking(end, False)

    async def follow(self) -> None:
        """Read until the other end is closed."""
        while True:
            await anyio.wait_readable(self._end)
            if not (found := os.read(self._end, 65536)):
                self.ended.set()
                return
            self._text += found

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._text.splitlines() if line]

    async def goes_on(self) -> bool:
        events = [json.loads(line)["event"] for line in self._text.split(b"\n")[:-1] if line]
        return "log_lines_lost" in events[:-1]
