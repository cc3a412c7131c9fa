"""The programs of docs/consumers: committed events only, each once; of a record, the newest revision and its parts."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.consumers.environments import PROGRAMS, install_line
from tests.consumers.programs import EVENT_IDS, NODE, PART_IDS, PYTHON, Program, Run, count_printed, running, stored
from tests.consumers.published import Published, publish
from tests.docs.pages import tables
from tests.kafka.daemon import WAIT_S, until
from tests.needs import absent, need

pytestmark = pytest.mark.anyio

KCAT = PROGRAMS / "kcat.sh"
each_program = pytest.mark.parametrize("program", [PYTHON, NODE], ids=lambda program: program.name)


@pytest.fixture(scope="module")
def published(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Published:
    return anyio.run(publish, kafka, f"consumers{os.getpid()}-", tmp_path_factory.mktemp("published"))


def expected_events(published: Published) -> Counter[str]:
    """Return the ids to be stored, without parts: of each record the newest revision, of each stream its progress."""
    newest: dict[str, str] = {}
    for each in published.messages:  # revisions of a record are in their order: they have the same key
        if not is_part(each.value):
            newest[identity(each.value)] = each.id
    return Counter(newest.values())


def expected_parts(published: Published) -> Counter[str]:
    """Return the ids of the parts of the newest revisions."""
    newest = expected_events(published)
    parts = [each for each in published.messages if is_part(each.value)]
    return Counter(each.id for each in parts if each.value["session_event_id"] in newest)


def is_part(value: Mapping[str, Any]) -> bool:
    return "session_event_id" in value


def identity(value: Mapping[str, Any]) -> str:
    if value["type"] == "collector.progress.v1":
        return f"{value['source']}/{value['stream']}"
    return str(value["record_id"] if "revision" in value else value["event_id"])


def has_stored(published: Published, database: Path) -> bool:
    return expected_events(published) == stored(database, EVENT_IDS) and expected_parts(published) == stored(
        database, PART_IDS
    )


def test_records_have_revisions_with_fewer_parts(published: Published) -> None:
    """Proves that the tests below can fail: what they publish contains each case."""
    sessions = [each.value for each in published.messages if each.value["type"] == "seemetrix.session.v1"]
    before = {value["record_id"]: value for value in sessions if not value["revision"]}
    changes = {
        (before[value["record_id"]]["attention_count"], value["attention_count"])
        for value in sessions
        if value["revision"]
    }

    assert 60 + 15 == len(sessions)
    assert any(was > now > 0 for was, now in changes)
    assert any(was > now == 0 for was, now in changes)
    assert {"collector.dead_letter.v1", "collector.progress.v1"} <= {each.value["type"] for each in published.messages}


@each_program
async def test_a_program_stores_each_event_once_and_the_newest_revision_of_each_record(
    program: Program, published: Published, tmp_path: Path
) -> None:
    """Two instances share the topics and the database."""
    command, run = program.in_folder(tmp_path), Run(published.kafka, published.topics, "first", tmp_path / "events.db")

    async def all_stored() -> bool:
        return has_stored(published, run.database)

    async with running(command, run), running(command, run, instance=2):
        await until(all_stored, "exactly the committed events are stored")
    assert expected_parts(published) == stored(run.database, "SELECT event_id FROM all_parts")


@each_program
async def test_a_program_stores_messages_that_it_reads_again_once(
    program: Program, published: Published, tmp_path: Path
) -> None:
    """It reads messages again if it ends before it commits its offsets, and all of them with a new group."""
    again = Run(published.kafka, published.topics, "again", tmp_path / "events.db")
    dying = program.in_folder(tmp_path, program.commit, program.end)
    with anyio.fail_after(WAIT_S):
        await anyio.run_process([*dying, *again.arguments])
    assert stored(again.database, EVENT_IDS) + stored(again.database, "SELECT event_id FROM all_parts")

    for run in (again, Run(published.kafka, published.topics, "new", again.database)):
        async with running(program.in_folder(tmp_path), run) as output:

            async def all_read(output: Path = output) -> bool:
                return len(published.messages) == count_printed(output)

            await until(all_read, "every committed event is read")
        assert has_stored(published, run.database)


@each_program
async def test_with_read_uncommitted_a_program_stores_uncommitted_messages(
    program: Program, published: Published, tmp_path: Path
) -> None:
    """Proves that the two tests above can fail."""
    run = Run(published.kafka, published.topics, "uncommitted", tmp_path / "events.db")

    async def all_stored() -> bool:
        return ids(published.uncommitted) <= stored(run.database, EVENT_IDS).keys()

    async with running(program.in_folder(tmp_path, *program.isolation), run):
        await until(all_stored, "messages of aborted and open transactions are stored too")


def ids(messages: Iterable[tuple[str, str]]) -> set[str]:
    return {name for _, name in messages}


@pytest.mark.parametrize("name", ["python_aiokafka.py", "python_progress.py", "python_registry.py"])
def test_the_document_and_a_program_say_to_install_the_same(name: str) -> None:
    rows = [row for table in tables((PROGRAMS / "README.md").read_text("utf-8")) for row in table.rows]

    (install,) = [row[2] for row in rows if row[0] == f"[{name}]({name})"]
    assert f"`{install_line(PROGRAMS / name)}`" == install


async def test_kcat_prints_committed_messages_only(published: Published) -> None:
    need("KCAT", absent("kcat"))
    for topic in published.topics:
        committed = Counter(each.id for each in published.messages if each.topic == topic)
        uncommitted = Counter(name for of, name in published.uncommitted if of == topic)
        assert committed == ids_in(await kcat(published.kafka, topic))
        assert committed + uncommitted == ids_in(
            await kcat(published.kafka, topic, "-X", "isolation.level=read_uncommitted")
        )


def ids_in(output: str) -> Counter[str]:
    """Count the ids in the headers that kcat printed."""
    return Counter(re.findall(r"^(?:ce_.*,)?ce_id=([^,\n]*)", output, re.MULTILINE))


async def kcat(kafka: str, topic: str, *more: str) -> str:
    """Return the output of kcat up to the end of the topic."""
    with anyio.fail_after(WAIT_S):
        done = await anyio.run_process([str(KCAT), kafka, topic, "-e", *more])
    return done.stdout.decode()
