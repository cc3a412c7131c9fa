#!/usr/bin/env python3
"""Events from Kafka into SQLite: committed ones alone, each once, of each record the highest revision.

    pip install aiokafka
    python python_aiokafka.py --kafka localhost:9092 --database events.db seemetrix.sessions seemetrix.attention

Copy it, and put a sink of your own in the place of SQLite. Two things make it right: it never reads what was not
committed, and it stores an event before it says that it has read it. After a crash in between, the event comes again,
and to store it again changes nothing.

Several at a time share the topics, if they share the group and the sink. Ctrl-C ends it.
"""

import argparse
import asyncio
import json
import sqlite3
from contextlib import closing, suppress

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import CommitFailedError

TABLE = """
CREATE TABLE IF NOT EXISTS events (
    type TEXT, identity TEXT, revision INTEGER, id TEXT, key TEXT, time TEXT, value TEXT,
    PRIMARY KEY (type, identity)
)"""
STORE = """
INSERT INTO events VALUES (:type, :identity, :revision, :id, :key, :time, :value)
ON CONFLICT (type, identity) DO UPDATE
    SET revision = excluded.revision, id = excluded.id, time = excluded.time, value = excluded.value
    WHERE excluded.revision > events.revision"""


def row(record: ConsumerRecord) -> dict[str, object]:
    """What changes is known by its record, what does not by its event's id."""
    headers = {name: content.decode() for name, content in record.headers}
    value = json.loads(record.value)
    return {
        "type": headers["ce_type"],
        "identity": value["record_id"] if "revision" in value else headers["ce_id"],
        "revision": value.get("revision", 0),
        "id": headers["ce_id"],
        "key": record.key.decode(),
        "time": headers["ce_time"],
        "value": record.value.decode(),
    }


async def follow(consumer: AIOKafkaConsumer, database: sqlite3.Connection) -> None:
    """Store what comes, then say so to Kafka, for ever."""
    while True:
        found = await consumer.getmany(timeout_ms=1000)
        rows = [row(record) for records in found.values() for record in records]
        if not rows:
            continue
        with database:  # one transaction
            database.executemany(STORE, rows)
        with suppress(
            CommitFailedError
        ):  # another member has the partitions now: it reads them again, and stores the same
            await consumer.commit()
        print(f"{len(rows)} events", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Events from Kafka into SQLite.")
    parser.add_argument("--kafka", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--group", default="events-to-sqlite")
    parser.add_argument("--database", default="events.db", metavar="FILE")
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    chosen = parser.parse_args()
    consumer = AIOKafkaConsumer(
        *chosen.topics,
        bootstrap_servers=chosen.kafka,
        group_id=chosen.group,
        isolation_level="read_committed",  # the default is another one
        auto_offset_reset="earliest",  # a group that is new begins at the beginning
        enable_auto_commit=False,  # only what is stored was read
    )
    with closing(sqlite3.connect(chosen.database)) as database:
        database.execute(TABLE)
        await consumer.start()
        try:
            await follow(consumer, database)
        finally:
            await consumer.stop()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
