"""The example consumers of docs/consumers: committed events only, each once, the latest revision of each record."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from tests.consumers.published import Published, publish
from tests.docs.pages import DOCS
from tests.kafka.daemon import WAIT_S, until
from tests.needs import absent, need

pytestmark = pytest.mark.anyio

PYTHON, KCAT = DOCS / "consumers" / "python_aiokafka.py", DOCS / "consumers" / "kcat.sh"
ALL_IDS = "SELECT id FROM events"


@pytest.fixture(scope="module")
def published(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return anyio.run(publish, kafka, f"consumers{os.getpid()}-", tmp_path_factory.mktemp("published"))


def command(program: Path, published: Published, database: Path, group: str) -> list[str]:
    group = published.topics[0] + group
    options = ["--kafka", published.kafka, "--group", group, "--database", str(database)]
    return [sys.executable, str(program), *options, *published.topics]


def start(command: Sequence[str], output: Path) -> "subprocess.Popen[bytes]":
    with output.open("w") as file:
        return subprocess.Popen(command, stdout=file)


@asynccontextmanager
async def running(program: Path, published: Published, database: Path, group: str) -> AsyncIterator[Path]:
    """Run the consumer until Ctrl-C at the end of the block. Yields the file with its output."""
    output = database.with_name(f"{group}.txt")
    process = start(command(program, published, database, group), output)
    try:
        yield output
        process.send_signal(signal.SIGINT)
        assert 0 == await anyio.to_thread.run_sync(process.wait, WAIT_S)
    finally:
        process.kill()
        process.wait()


def count_printed(output: Path) -> int:
    """Return how many events the consumer has stored according to its output."""
    return sum(int(line.split(maxsplit=1)[0]) for line in output.read_text("utf-8").splitlines())


def with_bug(text: str, replacement: str, folder: Path) -> Path:
    """Return the path of a copy of the consumer with a part of its code replaced."""
    program, source = folder / "wrong.py", PYTHON.read_text("utf-8")
    assert 1 == source.count(text)
    program.write_text(source.replace(text, replacement), "utf-8")
    return program


def stored(database: Path, query: str = ALL_IDS) -> Counter[str]:
    """Count the stored ids; none while the table does not exist or is locked."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            return Counter(name for (name,) in connection.execute(query))
        except sqlite3.OperationalError:
            return Counter()


def expected(published: Published) -> Counter[str]:
    """Return the ids to be stored: of each record the latest revision, and all events without revisions."""
    latest = {each.value.get("record_id", each.id): each.id for each in published.messages}
    return Counter(latest.values())


def ids_in(output: str) -> Counter[str]:
    """Count the ids in the headers that kcat printed."""
    return Counter(re.findall(r"^(?:ce_.*,)?ce_id=([^,]*)", output, re.MULTILINE))


async def test_the_python_consumer_stores_each_event_once_and_the_latest_revision_of_each_record(
    published: Published, tmp_path: Path
) -> None:
    database = tmp_path / "events.db"

    async def all_stored() -> bool:
        return expected(published) == stored(database)

    async with running(PYTHON, published, database, "first"):
        await until(all_stored, "exactly the committed events are stored")
    assert 60 + 15 == sum("revision" in each.value for each in published.messages)
    assert 60 == len(stored(database, f"{ALL_IDS} WHERE type = 'seemetrix.session.v1'"))


async def test_the_python_consumer_stores_messages_that_it_reads_again_once(
    published: Published, tmp_path: Path
) -> None:
    """It reads messages again if it ends before it commits its offsets, and all of them with a new group."""
    database = tmp_path / "events.db"
    program = with_bug("await consumer.commit()", "raise KeyboardInterrupt", tmp_path)

    with anyio.fail_after(WAIT_S):
        await anyio.run_process(command(program, published, database, "again"))
    assert stored(database)
    for group in ("again", "new"):
        async with running(PYTHON, published, database, group) as output:

            async def all_read(output: Path = output) -> bool:
                return len(published.messages) == count_printed(output)

            await until(all_read, "every committed event is read")
        assert expected(published) == stored(database)


async def test_with_read_uncommitted_the_python_consumer_stores_uncommitted_messages(
    published: Published, tmp_path: Path
) -> None:
    """Proves that the two tests above can fail."""
    database = tmp_path / "events.db"
    program = with_bug('"read_committed",', '"read_uncommitted",', tmp_path)

    async def all_stored() -> bool:
        return published.uncommitted <= stored(database).keys()

    async with running(program, published, database, "uncommitted"):
        await until(all_stored, "messages of aborted and open transactions are stored too")


async def test_kcat_prints_committed_messages_only(published: Published) -> None:
    need("KCAT", absent("kcat"))
    for topic in published.topics:
        committed = Counter(each.id for each in published.messages if each.topic == topic)
        uncommitted = Counter(name for name in published.uncommitted if f"/{topic}/" in name)
        assert committed == ids_in(await kcat(published.kafka, topic))
        assert committed + uncommitted == ids_in(
            await kcat(published.kafka, topic, "-X", "isolation.level=read_uncommitted")
        )


async def kcat(kafka: str, topic: str, *more: str) -> str:
    """Return the output of kcat up to the end of the topic."""
    with anyio.fail_after(WAIT_S):
        done = await anyio.run_process([str(KCAT), kafka, topic, "-e", *more])
    return done.stdout.decode()
