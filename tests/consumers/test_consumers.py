"""The consumers of docs/consumers, as they are: committed events alone, each once, the last revision of each record."""

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
EVERYTHING = "SELECT id FROM events"


@pytest.fixture(scope="module")
def published(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return anyio.run(publish, kafka, f"consumers{os.getpid()}-", tmp_path_factory.mktemp("published"))


def command(program: Path, published: Published, database: Path, group: str) -> list[str]:
    group = published.topics[0] + group
    chosen = ["--kafka", published.kafka, "--group", group, "--database", str(database)]
    return [sys.executable, str(program), *chosen, *published.topics]


def start(command: Sequence[str], printed: Path) -> "subprocess.Popen[bytes]":
    with printed.open("w") as out:
        return subprocess.Popen(command, stdout=out)


@asynccontextmanager
async def running(program: Path, published: Published, database: Path, group: str) -> AsyncIterator[Path]:
    """The consumer, until Ctrl-C at the end of the block; the file with what it prints."""
    printed = database.with_name(f"{group}.txt")
    process = start(command(program, published, database, group), printed)
    try:
        yield printed
        process.send_signal(signal.SIGINT)
        assert 0 == await anyio.to_thread.run_sync(process.wait, WAIT_S)
    finally:
        process.kill()
        process.wait()


def said(printed: Path) -> int:
    """How many events it says that it stored."""
    return sum(int(line.split(maxsplit=1)[0]) for line in printed.read_text("utf-8").splitlines())


def otherwise(text: str, by: str, folder: Path) -> Path:
    """The consumer with a mistake."""
    program, right = folder / "wrong.py", PYTHON.read_text("utf-8")
    assert 1 == right.count(text)
    program.write_text(right.replace(text, by), "utf-8")
    return program


def stored(database: Path, query: str = EVERYTHING) -> Counter[str]:
    """The ids; none while there is no table, or while it is written to."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            return Counter(name for (name,) in connection.execute(query))
        except sqlite3.OperationalError:
            return Counter()


def expected(published: Published) -> Counter[str]:
    """Of each session the last revision; the parts of all, which name the event of their whole."""
    newest = {told.value.get("record_id", told.id): told.id for told in published.told}
    return Counter(newest.values())


def seen(printed: str) -> Counter[str]:
    """The ids in the headers that kcat printed."""
    return Counter(re.findall(r"^(?:ce_.*,)?ce_id=([^,]*)", printed, re.MULTILINE))


async def test_python_stores_each_event_once_and_of_a_record_the_last_revision(
    published: Published, tmp_path: Path
) -> None:
    database = tmp_path / "events.db"

    async def all_stored() -> bool:
        return expected(published) == stored(database)

    async with running(PYTHON, published, database, "first"):
        await until(all_stored, "every committed event is stored, and nothing else")
    assert 60 + 15 == sum("revision" in told.value for told in published.told)
    assert 60 == len(stored(database, f"{EVERYTHING} WHERE type = 'seemetrix.session.v1'"))


async def test_python_stores_nothing_twice_that_it_reads_twice(published: Published, tmp_path: Path) -> None:
    """Ended before it could say what it had read, it reads the same again; a group that is new reads all."""
    database = tmp_path / "events.db"
    program = otherwise("await consumer.commit()", "raise KeyboardInterrupt", tmp_path)

    with anyio.fail_after(WAIT_S):
        await anyio.run_process(command(program, published, database, "again"))
    assert stored(database)
    for group in ("again", "anew"):
        async with running(PYTHON, published, database, group) as printed:

            async def all_read(printed: Path = printed) -> bool:
                return len(published.told) == said(printed)

            await until(all_read, "every committed event is read")
        assert expected(published) == stored(database)


async def test_python_would_store_what_was_not_committed_if_it_read_it(published: Published, tmp_path: Path) -> None:
    """So the two tests above can fail."""
    database = tmp_path / "events.db"
    program = otherwise('"read_committed",', '"read_uncommitted",', tmp_path)

    async def all_stored() -> bool:
        return published.unseen <= stored(database).keys()

    async with running(program, published, database, "uncommitted"):
        await until(all_stored, "what was aborted, and what is open, is stored too")


async def test_kcat_shows_what_was_committed_and_nothing_else(published: Published) -> None:
    need("KCAT", absent("kcat"))
    for topic in published.topics:
        committed = Counter(told.id for told in published.told if told.topic == topic)
        others = Counter(name for name in published.unseen if f"/{topic}/" in name)
        assert committed == seen(await kcat(published.kafka, topic))
        assert committed + others == seen(await kcat(published.kafka, topic, "-X", "isolation.level=read_uncommitted"))


async def kcat(kafka: str, topic: str, *more: str) -> str:
    """What is printed until the end of the topic."""
    with anyio.fail_after(WAIT_S):
        done = await anyio.run_process([str(KCAT), kafka, topic, "-e", *more])
    return done.stdout.decode()
