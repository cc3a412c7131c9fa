"""A program stores the newest revision and its parts, in whatever order it reads them."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import permutations
from pathlib import Path
from typing import Any

import aiokafka
import msgspec
import pytest

from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from tests.consumers.environments import PROGRAMS
from tests.consumers.programs import EVENT_IDS, NODE, PART_IDS, PYTHON, Program, Run, count_printed, running, stored
from tests.docs.pages import fenced
from tests.kafka.daemon import until

pytestmark = pytest.mark.anyio

Values = Sequence[Mapping[str, Any]]
TOPIC = "things"


def session(record: str, revision: int) -> Mapping[str, Any]:
    return {
        "event_id": f"{record}-{revision}/session/0",
        "type": "seemetrix.session.v1",
        "source": "mall",
        "started_at": "2026-11-01T00:00:00.000Z",
        "record_id": record,
        "revision": revision,
    }


def part(record: str, revision: int, position: int) -> Mapping[str, Any]:
    return {
        "event_id": f"{record}-{revision}/attention/{position}",
        "type": "seemetrix.attention.v1",
        "record_id": record,
        "revision": revision,
        "session_event_id": session(record, revision)["event_id"],
        "position": position,
    }


def fewer_parts(record: str) -> Values:
    return [session(record, 0), part(record, 0, 0), part(record, 0, 1), session(record, 1), part(record, 1, 0)]


def no_parts(record: str) -> Values:
    return [session(record, 0), part(record, 0, 0), session(record, 1), part(record, 1, 0), session(record, 2)]


def progress(number: int) -> Mapping[str, Any]:
    """The progress of a stream, which a rewind moves backwards: the last message counts, not the largest time."""
    return {
        "event_id": f"progress/{number}",
        "type": "collector.progress.v1",
        "source": "mall",
        "stream": "sessions",
        "final": f"2026-11-01T00:{59 - number}:00.000Z",
    }


EVERY_ORDER = [
    value
    for case in (fewer_parts, no_parts)
    for number, order in enumerate(permutations(case(case.__name__)))
    for value in (
        {
            name: text.replace(case.__name__, f"{case.__name__}{number}") if isinstance(text, str) else text
            for name, text in each.items()
        }
        for each in order
    )
]
ORDERS = 120
"""Of five messages."""


async def read_all(command: Sequence[str], run: Run, number: int) -> None:
    """Run a program until it has stored this number of messages."""
    async with running(command, run) as output:

        async def all_read() -> bool:
            return number == count_printed(output)

        await until(all_read, "every message is read")


async def publish(kafka: str, prefix: str, values: Values) -> str:
    """Publish the values in this order in one partition, and return the name of the topic."""
    settings = {"bootstrap_servers": kafka, "topic_prefix": prefix, "partitions": 1, "state_partitions": 1}
    await ensure_topics(KafkaSettings.model_validate(settings), {prefix + TOPIC})
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=kafka, compression_type="lz4") as producer:
        for value in values:
            await producer.send(prefix + TOPIC, msgspec.json.encode(value))
    return prefix + TOPIC


@pytest.mark.parametrize("program", [PYTHON, NODE], ids=lambda program: program.name)
async def test_a_program_stores_the_newest_revision_and_its_parts_in_any_order(
    kafka: str, prefix: str, program: Program, tmp_path: Path
) -> None:
    """Without headers: a mirror or a sink may have dropped them."""
    values = [progress(0), *EVERY_ORDER, progress(1)]
    run = Run(kafka, [await publish(kafka, prefix, values)], "orders", tmp_path / "events.db")
    await read_all(program.in_folder(tmp_path), run, len(values))

    numbers = range(ORDERS)
    fewer, none = ([f"{case.__name__}{number}" for number in numbers] for case in (fewer_parts, no_parts))
    newest = [session(record, 1) for record in fewer] + [session(record, 2) for record in none] + [progress(1)]
    assert Counter(value["event_id"] for value in newest) == stored(run.database, EVENT_IDS)
    parts = Counter(part(record, 1, 0)["event_id"] for record in fewer)
    assert parts == stored(run.database, PART_IDS)
    assert parts == stored(run.database, "SELECT event_id FROM all_parts")


async def test_after_a_rewind_a_program_stores_what_the_statements_of_the_document_have_made_room_for(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    """The revisions count from 0 again. An older record stays."""
    older = {**session("older", 1), "started_at": "2026-10-31T23:59:59.999Z"}
    before: Values = [older, part("older", 1, 0), session("record", 1), part("record", 1, 0)]
    again = {**session("record", 0), "event_id": "again/session/0"}
    again_part = {**part("record", 0, 0), "event_id": "again/attention/0", "session_event_id": again["event_id"]}
    (statements,) = fenced((PROGRAMS / "README.md").read_text("utf-8"), "sql")
    command, run = PYTHON.in_folder(tmp_path), Run(kafka, [prefix + TOPIC], "rewind", tmp_path / "events.db")
    await publish(kafka, prefix, before)
    await read_all(command, run, len(before))

    await publish(kafka, prefix, [again, again_part])
    await read_all(command, run, 2)
    assert {older["event_id"], before[2]["event_id"]} == set(stored(run.database, EVENT_IDS))
    with closing(sqlite3.connect(run.database)) as database:
        database.executescript(statements)
    await publish(kafka, prefix, [again, again_part])
    await read_all(command, run, 2)

    assert {older["event_id"], again["event_id"]} == set(stored(run.database, EVENT_IDS))
    assert {before[1]["event_id"], again_part["event_id"]} == set(stored(run.database, PART_IDS))
