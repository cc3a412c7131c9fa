"""Log lines that cannot be written only increase a counter: the daemon still publishes, responds and stops cleanly."""

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
"""Enough for a daemon that has nothing to finish; without responses from Kafka, it needs up to 25 s."""
UNREAD = next(target for target in TARGETS if target.pipe == "unread")


class Pipeline:
    """A daemon with its vendor, and the events that it must publish."""

    def __init__(self, daemon: Daemon, vendor: Vendor, reader: TopicReader) -> None:
        self.daemon = daemon
        self.expected = Counter[tuple[str, str]]()
        self._vendor = vendor
        self._reader = reader
        self._random = Random(7)

    async def publish(self) -> None:
        """Add two sessions, and return when each of their events is published once."""
        for _ in range(2):
            begin = datetime.now(UTC) - timedelta(seconds=5)
            added = session(begin, self._random, len(self._vendor.known))
            self._vendor.known.append(Known(added, begin))
            self.expected.update(expected_events(added))
        await until(self._is_published, "the sessions are published")
        assert self.expected == contents(self._reader.received)

    async def stop(self) -> None:
        """Stop the daemon with SIGTERM: its exit code is 0, and no event was published twice."""
        self.daemon.send(15)
        assert 0 == await anyio.to_thread.run_sync(self.daemon.wait, STOP_S)
        assert self.expected == contents(await self._reader.to_the_end())

    async def _is_published(self) -> bool:
        return not self.expected - contents(await self._reader.poll())

    async def loses_lines(self) -> bool:
        return await self.daemon.metric(ERRORS) > 0


@asynccontextmanager
async def pipeline(kafka: str, prefix: str, home: Path) -> AsyncIterator[Pipeline]:
    vendor = Vendor([])
    since = (datetime.now(UTC) - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    async with serving(vendor), reading(kafka, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(home, kafka, prefix, vendor, since=since)
        try:
            yield Pipeline(daemon, vendor, reader)
        finally:
            daemon.close()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
async def test_a_target_that_cannot_be_written_to_only_counts_errors(
    kafka: str, prefix: str, tmp_path: Path, target: LogTarget
) -> None:
    async with pipeline(kafka, prefix, tmp_path) as found:
        with started(found.daemon, target):
            await until(found.daemon.is_ready, "the daemon is ready")
            await found.publish()
            if target.is_writable:
                assert not await found.loses_lines()
            else:
                await until(found.loses_lines, "lines are lost")
                await found.publish()
            assert (200, "ready\n") == await found.daemon.get("/readyz")
            await found.stop()


async def test_log_lines_resume_once_the_pipe_is_read_and_the_log_reports_how_many_were_lost(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    async with pipeline(kafka, prefix, tmp_path) as found, anyio.create_task_group() as tasks:
        with started(found.daemon, UNREAD) as read_end:
            assert read_end is not None
            await until(found.loses_lines, "lines are lost")
            lost = await found.daemon.metric(ERRORS)
            log = PipeLog(read_end)
            tasks.start_soon(log.follow)
            await until(log.has_resumed, "log lines are written again")
            await found.publish()
            await found.stop()
            await log.ended.wait()
    gaps = [line for line in log.lines() if line["event"] == "log_lines_lost"]
    assert {"warning"} == {line["level"] for line in gaps}
    assert sum(line["lines"] for line in gaps) >= lost
    assert "stopping" in [line["event"] for line in log.lines()[log.lines().index(gaps[0]) :]]


class PipeLog:
    """The log lines that are read from a pipe."""

    def __init__(self, read_end: int) -> None:
        self.ended = anyio.Event()
        self._read_end = read_end
        self._text = b""
        os.set_blocking(read_end, False)

    async def follow(self) -> None:
        """Read until the write end is closed."""
        while True:
            await anyio.wait_readable(self._read_end)
            if not (chunk := os.read(self._read_end, 65536)):
                self.ended.set()
                return
            self._text += chunk

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._text.splitlines() if line]

    async def has_resumed(self) -> bool:
        """Whether a line follows the one that reports the loss."""
        events = [json.loads(line)["event"] for line in self._text.split(b"\n")[:-1] if line]
        return "log_lines_lost" in events[:-1]
