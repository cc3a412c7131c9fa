#!/usr/bin/env python3
"""Stores events from Kafka in SQLite: committed events only, each once, and of each record the newest revision.

    pip install 'aiokafka[lz4]'
    python python_aiokafka.py --kafka localhost:9092 --database events.db seemetrix.sessions seemetrix.attention

The table `events` contains a row for each event, and for each record its newest revision. The view `parts` contains
the parts of these revisions, such as attention intervals; list the topic of the sessions together with those of their
parts.

Copy it, and replace SQLite by your own sink. Two rules make it correct: it reads only committed messages, and it stores
an event before it commits the event's offset. After a crash in between, it reads the event again, and storing it again
changes nothing. It uses the values of messages only, not their headers.

Several instances share the topics if they use the same group and the same database. Ctrl-C stops it.
"""

import argparse
import asyncio
import json
import sqlite3
from contextlib import closing, suppress

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import CommitFailedError

TABLES = """
CREATE TABLE IF NOT EXISTS events (
    identity TEXT, type TEXT, version INTEGER, event_id TEXT, value TEXT, PRIMARY KEY (identity, type));
CREATE TABLE IF NOT EXISTS all_parts (
    event_id TEXT PRIMARY KEY, type TEXT, record_id TEXT, revision INTEGER, session_event_id TEXT, value TEXT);
CREATE INDEX IF NOT EXISTS parts_of_record ON all_parts (record_id);
CREATE VIEW IF NOT EXISTS parts AS
    SELECT part.* FROM all_parts AS part
    JOIN events AS session ON session.identity = part.record_id AND session.event_id = part.session_event_id"""

STORE_EVENT = """
INSERT INTO events VALUES (:identity, :type, :version, :event_id, :json)
ON CONFLICT (identity, type) DO UPDATE
    SET version = excluded.version, event_id = excluded.event_id, value = excluded.value
    WHERE excluded.version > events.version"""
DELETE_OLDER_PARTS = "DELETE FROM all_parts WHERE record_id = :record_id AND revision < :revision"

# Parts may be read before their session: they are stored, and appear in the view when the session is stored too.
STORE_PART = """
INSERT OR IGNORE INTO all_parts
    SELECT :event_id, :type, :record_id, :revision, :session_event_id, :json
    WHERE NOT EXISTS (SELECT * FROM events WHERE identity = :record_id AND version > :revision)"""


def store(database: sqlite3.Connection, message: ConsumerRecord) -> None:
    """Store one message, unless the database contains it or a newer revision of its record."""
    value = json.loads(message.value)
    row = {**value, "json": message.value.decode()}
    if "session_event_id" in value:
        database.execute(STORE_PART, row)
    elif "revision" in value:
        database.execute(STORE_EVENT, {**row, "identity": value["record_id"], "version": value["revision"]})
        database.execute(DELETE_OLDER_PARTS, row)
    elif value["type"] == "collector.progress.v1":  # only the last message of a stream counts
        identity = f"{value['source']}/{value['stream']}"
        database.execute(STORE_EVENT, {**row, "identity": identity, "version": message.offset})
    else:
        database.execute(STORE_EVENT, {**row, "identity": value["event_id"], "version": 0})


async def store_messages(consumer: AIOKafkaConsumer, database: sqlite3.Connection) -> None:
    """Store messages and commit their offsets, until the program is interrupted."""
    while True:
        batches = await consumer.getmany(timeout_ms=1000)
        messages = [message for batch in batches.values() for message in batch]
        if not messages:
            continue
        with database:  # one transaction
            for message in messages:
                store(database, message)
        # If the partitions have moved to another member, it reads these messages again and stores the same rows.
        with suppress(CommitFailedError):
            await consumer.commit()
        print(f"{len(messages)} events", flush=True)


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
    with closing(sqlite3.connect(options.database, timeout=60)) as database:  # instances wait for each other
        database.executescript(TABLES)
        await consumer.start()
        try:
            await store_messages(consumer, database)
        finally:
            await consumer.stop()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
