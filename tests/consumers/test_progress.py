"""python_progress.py counts every viewer of an hour, also those behind the first message of an open transaction."""

import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiokafka
import anyio
import pytest

from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from tests.consumers.environments import PROGRAMS, python_for
from tests.consumers.programs import start
from tests.consumers.published import send
from tests.kafka.daemon import WAIT_S, until

pytestmark = pytest.mark.anyio

PROGRAM = PROGRAMS / "python_progress.py"
VIEWERS, PROGRESS = "quividi.viewers", "collector.progress"
HOUR, END = "2026-11-01T11:00:00.000Z", "2026-11-01T12:00:00.000Z"


@asynccontextmanager
async def producing(kafka: str, name: str) -> AsyncIterator[aiokafka.AIOKafkaProducer]:
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=name, compression_type="lz4")
    async with producer:
        yield producer


class Topics:
    """The two topics of a deployment, and what its collectors send to them."""

    def __init__(self, kafka: str, prefix: str) -> None:
        self.kafka, self.viewers, self.progress = kafka, prefix + VIEWERS, prefix + PROGRESS
        self._prefix = prefix
        self._sent = 0

    async def create(self) -> None:
        settings = {
            "bootstrap_servers": self.kafka,
            "topic_prefix": self._prefix,
            "partitions": 1,
            "state_partitions": 1,
        }
        await ensure_topics(
            KafkaSettings.model_validate(settings),
            {self._prefix + VIEWERS, self._prefix + PROGRESS},
            {self._prefix + PROGRESS},
        )

    async def send_viewer(self, producer: aiokafka.AIOKafkaProducer, location: int, at: str, name: str = "") -> None:
        """A viewer; the same one again, if it has a name that was used before."""
        self._sent += 1
        value = {
            "event_id": name or f"{self._sent}/viewer/0",
            "type": "quividi.viewer.v1",
            "location_id": location,
            "started_at": at,
        }
        await send(producer, self.viewers, value)

    async def send_final(self, producer: aiokafka.AIOKafkaProducer, stream: str, final: str) -> None:
        source, _, name = stream.partition("/")
        value = {
            "event_id": f"{stream}/{final}",
            "type": "collector.progress.v1",
            "source": source,
            "stream": name,
            "final": final,
        }
        await send(producer, self.progress, value)

    def command(self, program: Path, *streams: str) -> Sequence[str]:
        names = ["--kafka", self.kafka, "--viewers", self.viewers, "--progress", self.progress, "--hour", HOUR]
        return [str(python_for(PROGRAM)), str(program), *names, *streams]


@pytest.fixture
async def topics(kafka: str, prefix: str) -> Topics:
    created = Topics(kafka, prefix)
    await created.create()
    return created


@asynccontextmanager
async def behind_an_open_transaction(topics: Topics) -> AsyncIterator[aiokafka.AIOKafkaProducer]:
    """Viewers and their progress are committed, while the transaction of another source is open in their partition."""
    name = topics.viewers
    async with producing(topics.kafka, f"{name}-other") as other, producing(topics.kafka, f"{name}-airport") as own:
        async with own.transaction():
            await topics.send_viewer(own, 7, "2026-11-01T11:00:00.000Z")
        await other.begin_transaction()
        await topics.send_viewer(other, 8, "2026-11-01T11:10:00.000Z")
        async with own.transaction():
            await topics.send_viewer(own, 7, "2026-11-01T11:59:59.999Z", "seen twice")
            await topics.send_viewer(own, 7, "2026-11-01T11:59:59.999Z", "seen twice")
            await topics.send_viewer(own, 9, "2026-11-01T11:30:00.000Z")
            await topics.send_viewer(own, 9, "2026-11-01T12:00:00.000Z")  # of the next hour
            await topics.send_final(own, "airport/viewers", END)
        yield other


async def test_the_program_counts_viewers_behind_an_open_transaction(topics: Topics, tmp_path: Path) -> None:
    async with behind_an_open_transaction(topics) as other:
        async with running(topics.command(PROGRAM, "airport/viewers"), tmp_path) as (process, errors):
            await until_line(errors, "complete: reading 1 partitions to their ends")
            assert process.poll() is None  # it waits for the end of the transaction
            await other.abort_transaction()
            assert 0 == await anyio.to_thread.run_sync(process.wait, WAIT_S)
        assert "7\t2\n9\t1\n" == (tmp_path / "out").read_text("utf-8")


async def test_up_to_the_last_stable_offset_viewers_are_missed(topics: Topics, tmp_path: Path) -> None:
    """Proves that the test above can fail: this end is what a consumer of committed messages receives."""
    wrong = tmp_path / "wrong.py"
    text, replacement = 'isolation_level="read_uncommitted"', 'isolation_level="read_committed"'
    source = PROGRAM.read_text("utf-8")
    assert 1 == source.count(text)
    wrong.write_text(source.replace(text, replacement), "utf-8")
    async with behind_an_open_transaction(topics) as other:
        with anyio.fail_after(WAIT_S):
            done = await anyio.run_process(topics.command(wrong, "airport/viewers"))
        assert b"7\t1\n" == done.stdout
        await other.abort_transaction()


async def test_the_program_waits_for_every_stream_and_for_its_last_progress(topics: Topics, tmp_path: Path) -> None:
    """A rewind moves `final` backwards: an earlier message that says more does not count."""
    async with producing(topics.kafka, f"{topics.viewers}-all") as producer:
        async with producer.transaction():
            for final in (END, HOUR):  # rewound
                await topics.send_final(producer, "airport/viewers", final)
        async with running(topics.command(PROGRAM, "airport/viewers", "mall/viewers"), tmp_path) as (_, errors):
            for stream, waiting in (("mall/viewers", "airport/viewers mall/viewers"), ("airport/viewers",) * 2):
                await until_line(errors, f"waiting for {waiting}")
                async with producer.transaction():
                    await topics.send_viewer(producer, 7, HOUR)
                    await topics.send_final(producer, stream, END)
    assert "7\t2\n" == (tmp_path / "out").read_text("utf-8")


@asynccontextmanager
async def running(command: Sequence[str], folder: Path) -> AsyncIterator[tuple["subprocess.Popen[bytes]", Path]]:
    """Run the program until it ends. Its outputs are `out` and `err` in the folder; yields the latter."""
    process = start(command, folder / "out", folder / "err")
    try:
        yield process, folder / "err"
        assert 0 == await anyio.to_thread.run_sync(process.wait, WAIT_S)
    finally:
        process.kill()
        process.wait()


async def until_line(errors: Path, line: str) -> None:
    async def is_printed() -> bool:
        return line in (await anyio.Path(errors).read_text("utf-8")).splitlines()

    await until(is_printed, line)
