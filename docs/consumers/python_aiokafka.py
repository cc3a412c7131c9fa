#!/usr/bin/env python3
"""Stores events from Kafka in SQLite: committed events only, each once, and of each record the latest revision.

    pip install aiokafka
    python python_aiokafka.py --kafka localhost:9092 --database events.db seemetrix.sessions seemetrix.attention

Copy it, and replace SQLite by your own sink. Two rules make it correct: it reads only committed messages, and it stores
an event before it commits the event's offset. After a crash in between, it reads the event again, and storing it again
changes nothing.

Several instances share the topics if they use the same group and the same sink. Ctrl-C stops it.
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
    """Return the row to store: events with revisions are identified by their record, all others by their id."""
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


async def store_messages(consumer: AIOKafkaConsumer, database: sqlite3.Connection) -> None:
    """Store messages and commit their offsets, until the program is interrupted."""
    while True:
        batches = await consumer.getmany(timeout_ms=1000)
        rows = [row(record) for records in batches.values() for record in records]
        if not rows:
            continue
        with database:  # one transaction
            database.executemany(STORE, rows)
        # If the partitions have moved to another member, it reads these messages again and stores the same rows.
        with suppress(CommitFailedError):
            await consumer.commit()
        print(f"{len(rows)} events", flush=True)


async def main() -> None:
    parser = argparse.ArgumentParser(description="Store events from Kafka in SQLite.")
    parser.add_argument("--kafka", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--group", default="events-to-sqlite")
    parser.add_argument("--database", default="events.db", metavar="FILE")
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    options = parser.parse_args()
    consumer = AIOKafkaConsumer(
        *options.topics,
        bootstrap_servers=options.kafka,
        group_id=options.group,
        isolation_level="read_committed",  # the default is read_uncommitted
        auto_offset_reset="earliest",  # a new group starts with the oldest message
        enable_auto_commit=False,  # offsets are committed only after the events are stored
    )
    with closing(sqlite3.connect(options.database)) as database:
        database.execute(TABLE)
        await consumer.start()
        try:
            await store_messages(consumer, database)
        finally:
            await consumer.stop()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
