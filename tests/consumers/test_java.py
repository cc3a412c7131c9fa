"""The Java programs of docs/consumers/java, beside open and aborted transactions, with revisions and restarts."""

import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.consumers import java_programs
from tests.consumers.java_programs import JavaProgram, documented, with_bug
from tests.consumers.published_java import (
    Results,
    Sent,
    Transactions,
    attention,
    create_topics,
    progress,
    results,
    session,
    transactions,
    viewer,
)
from tests.kafka.daemon import until
from tests.needs import absent, need

pytestmark = pytest.mark.anyio

DAY = "2026-11-01"


@pytest.fixture(scope="session")
def jars() -> str:
    """The class path of the programs."""
    need("JAVA", absent("javac", "mvn"))
    return f"{java_programs.built()}/*"


@pytest.fixture
async def collector(kafka: str, prefix: str) -> AsyncIterator[Transactions]:
    await create_topics(kafka, prefix)
    async with transactions(kafka, prefix, "collector") as producer:
        yield producer


@pytest.fixture
async def other(kafka: str, prefix: str) -> AsyncIterator[Transactions]:
    """Another replica, whose transactions stay open or are aborted."""
    async with transactions(kafka, prefix, "other") as producer:
        yield producer


def at(clock: str) -> str:
    return f"{DAY}T{clock}:00.000Z"


# --- StoreEvents


def store_events(class_path: str, home: Path, kafka: str, prefix: str, group: str = "store") -> JavaProgram:
    options = {"kafka": kafka, "prefix": prefix, "group": prefix + group}
    return JavaProgram(class_path, documented("StoreEvents"), home, options)


def stored(home: Path, table: str) -> set[str]:
    """Return the ids in a table; none while it does not exist or is locked."""
    with closing(sqlite3.connect(home / "events.db")) as database:
        try:
            rows = [name for (name,) in database.execute(f"SELECT event_id FROM {table}")]  # noqa: S608 - of this file
        except sqlite3.OperationalError:
            return set()
    assert len(rows) == len(set(rows))
    return set(rows)


def ids(messages: Iterable[Sent]) -> set[str]:
    return {message.value["event_id"] for message in messages}


async def until_stored(
    home: Path, records: Sequence[Sent], parts: Sequence[Sent], waiting: Sequence[Sent] = ()
) -> None:
    """Wait until exactly these are stored; `waiting` are parts whose record is not there yet."""

    async def are_stored() -> bool:
        found = [stored(home, table) for table in ("records", "current_parts", "parts")]
        return found == [ids(records), ids(parts), ids([*parts, *waiting])]

    await until(are_stored, f"{len(records)} records and {len(parts)} parts are stored, and no others")


async def test_store_events_keeps_the_newest_revision_of_each_record_and_its_parts(
    jars: str, kafka: str, prefix: str, tmp_path: Path, collector: Transactions, other: Transactions
) -> None:
    one, two, three = (session(n, at("10:00"), parts=3) for n in (1, 2, 3))
    one_revised, two_revised = (
        session(1, at("10:00"), revision=1, parts=1),
        session(2, at("10:00"), revision=1, parts=2),
    )
    three_revised = session(3, at("10:00"), revision=1)
    await collector.commit(one, *attention(one), two, *attention(two))
    await other.abort(session(4, at("10:00")), *attention(session(4, at("10:00"), parts=2)))
    with store_events(jars, tmp_path, kafka, prefix) as program:
        await until_stored(tmp_path, [one, two], [*attention(one), *attention(two)])
        await collector.commit(*attention(one_revised))  # parts before their session
        await until_stored(tmp_path, [one, two], [*attention(one), *attention(two)], attention(one_revised))
        program.kill()
        await collector.commit(one_revised)
        await other.begin(session(5, at("10:00")))  # the partition is not read beyond it
        program.start()
        await until_stored(tmp_path, [one_revised, two], [*attention(one_revised), *attention(two)])
        await other.abort()
        await collector.commit(two_revised, three_revised)  # sessions before their parts
        newest = [one_revised, two_revised, three_revised]
        await until_stored(tmp_path, newest, attention(one_revised))
        parts = [*attention(one_revised), *attention(two_revised)]
        await collector.commit(three, *attention(three), *attention(two_revised))  # an old revision after the new one
        await until_stored(tmp_path, newest, parts)
        program.stop()
    committed = [one, two, three, *newest, *attention(one), *attention(two), *attention(three), *parts]
    with store_events(jars, tmp_path, kafka, prefix, group="again") as again:  # it reads everything again
        before = len(again.printed())

        async def all_read() -> bool:
            return len(committed) == sum(int(line.split()[0]) for line in again.printed()[before:])

        await until(all_read, "every committed event is read")
        await until_stored(tmp_path, newest, parts)
        again.stop()


async def test_with_read_uncommitted_store_events_stores_uncommitted_messages(
    jars: str, kafka: str, prefix: str, tmp_path: Path, collector: Transactions, other: Transactions
) -> None:
    """Proves that the test above can fail."""
    aborted = session(4, at("10:00"))
    await other.abort(aborted)
    await collector.commit(session(1, at("10:00")))
    program = with_bug("StoreEvents.java", '"read_committed");', '"read_uncommitted");', jars, tmp_path)

    async def is_stored() -> bool:
        return ids([aborted]) <= stored(tmp_path, "records")

    with store_events(program, tmp_path, kafka, prefix):
        await until(is_stored, "an aborted message is stored")


# --- ViewersByHour


def streams(class_path: str, command: str, home: Path, kafka: str, prefix: str) -> JavaProgram:
    """Return the program whose command on the page contains this text."""
    options = {"kafka": kafka, "prefix": prefix, "group": prefix + command}
    return JavaProgram(class_path, documented(command), home, options)


def counts(of: Sequence[tuple[str, dict[str, object]]]) -> Counter[tuple[str, object]]:
    """Return how often each count of a place and an hour was published."""
    return Counter((key.replace(f"{DAY}T", "").replace(":00:00Z", ""), value["count"]) for key, value in of)


async def until_counted(found: Results, *expected: tuple[str, int]) -> None:
    """Wait until exactly these counts are published, each once, as (`<place>/<hour>`, count)."""

    async def are_counted() -> bool:
        return Counter(expected) == counts(await found.poll())

    await until(are_counted, f"the counts are {expected}")


async def publish_before_and_behind_an_open_transaction(collector: Transactions, other: Transactions) -> None:
    """Location 30 and location 31 are in different partitions. That of 30 has an open transaction in the middle."""
    await collector.commit(
        *(viewer(30, at(clock)) for clock in ("08:05", "08:40", "09:10")),
        viewer(31, at("08:50")),
        progress(at("08:00")),
    )
    await collector.commit(viewer(30, at("08:10")))  # late: after one of the next hour
    await other.begin(viewer(30, at("08:20")))
    await collector.commit(viewer(30, at("08:30")), viewer(31, at("08:15")), progress(at("09:00")))


async def test_viewers_by_hour_closes_an_hour_when_it_is_complete(
    jars: str, kafka: str, prefix: str, tmp_path: Path, collector: Transactions, other: Transactions
) -> None:
    await publish_before_and_behind_an_open_transaction(collector, other)
    async with transactions(kafka, prefix, "aborting") as third, results(kafka, f"{prefix}viewers_by_hour") as found:
        everywhere = [viewer(location, at("08:31")) for location in (30, 31, 32)]
        await third.abort(*everywhere, progress(at("23:00")))
        with streams(jars, "viewers-by-hour", tmp_path, kafka, prefix) as program:
            await until_counted(found, ("31/08", 2))
            program.kill()
            await other.abort()  # now the last viewer of location 30 can be read
            program.start()
            await until_counted(found, ("31/08", 2), ("30/08", 4))
            await collector.commit(
                viewer(31, at("09:20")), viewer(31, at("09:20"), occurrence=1), progress(at("09:59"))
            )
            await collector.commit(viewer(30, at("09:00")), progress(at("10:00")))
            before_rewind = [("31/08", 2), ("30/08", 4), ("31/09", 2), ("30/09", 2)]
            await until_counted(found, *before_rewind)
            await collector.commit(viewer(30, at("10:05")), progress(at("10:10")))
            again = [viewer(30, at("08:05")), viewer(30, at("10:05"))]  # the first one is in a closed hour
            await collector.commit(*again, progress(at("08:00")))
            await collector.commit(progress(at("11:00")))
            await until_counted(found, *before_rewind, ("30/10", 1))
            program.stop()
    assert again[0].value["record_id"] in program.log.read_text("utf-8")


async def test_with_the_end_of_committed_messages_viewers_by_hour_closes_an_hour_too_early(
    jars: str, kafka: str, prefix: str, tmp_path: Path, collector: Transactions, other: Transactions
) -> None:
    """Proves that the test above can fail."""
    await publish_before_and_behind_an_open_transaction(collector, other)
    uncommitted, committed = "IsolationLevel.READ_UNCOMMITTED", "IsolationLevel.READ_COMMITTED"
    class_path = with_bug("Partition.java", uncommitted, committed, jars, tmp_path)
    async with results(kafka, f"{prefix}viewers_by_hour") as found:
        with streams(class_path, "viewers-by-hour", tmp_path, kafka, prefix):

            async def is_too_early() -> bool:
                return any(key.startswith("30/") for key, _ in await found.poll())

            await until(is_too_early, "an hour with an open transaction is closed")


# --- Sessions


async def test_sessions_are_kept_and_counted_by_their_newest_revision(
    jars: str, kafka: str, prefix: str, tmp_path: Path, collector: Transactions, other: Transactions
) -> None:
    one, two = session(1, at("10:00")), session(2, at("10:59"), device=77)
    one_revised = session(1, at("10:00"), revision=1)
    await collector.commit(one, two)
    await other.abort(session(1, at("10:00"), revision=9), progress(at("20:00"), "mall", "sessions"))
    newest, hours = (streams(jars, name, tmp_path, kafka, prefix) for name in ("newest-sessions", "sessions-by-hour"))
    async with (
        results(kafka, f"{prefix}newest_sessions") as table,
        results(kafka, f"{prefix}sessions_by_hour") as by_hour,
    ):

        async def until_newest(*expected: Sent) -> None:
            async def is_newest() -> bool:
                return dict(await table.poll()) == {each.value["record_id"]: each.value for each in expected}

            await until(is_newest, "the table has exactly the newest revisions")

        with newest, hours:
            await until_newest(one, two)
            newest.kill()
            await collector.commit(one_revised, progress(at("11:00"), "mall", "sessions"))
            await until_counted(by_hour, ("5315/10", 1), ("77/10", 1))
            newest.start()
            await until_newest(one_revised, two)
            three = session(3, at("12:00"))
            await collector.commit(one, three)  # a rewind publishes a lower revision again
            await until_newest(one_revised, two, three)
            newest.stop()
            hours.stop()
