#!/usr/bin/env python3
"""Counts the viewers of one hour at each location, as soon as the hour is complete.

    pip install 'aiokafka[lz4]'
    python python_progress.py --kafka localhost:9092 --hour 2019-07-01T11:00:00Z airport/viewers

The collector publishes the progress of each stream, `<source>/<stream>`, in the topic `collector.progress`. Every
record that starts before its `final` has been published. The program

1. reads the progress, until `final` of every stream has reached the end of the hour;
2. then requests the high watermarks of the topic with the viewers: the ends of its partitions, including messages of
   open transactions;
3. reads committed messages until its position has passed them, and prints the numbers.

Without the second step, an event could be missed. The end that a consumer of committed messages receives is the first
message of an open transaction, and committed messages may follow it.
"""

import argparse
import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

Ends = Mapping[TopicPartition, int]


@asynccontextmanager
async def consuming(kafka: str, topic: str, isolation_level: str = "read_committed") -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of a whole topic, from its beginning."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=kafka,
        isolation_level=isolation_level,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def ends_of(consumer: AIOKafkaConsumer) -> Ends:
    ends: Ends = await consumer.end_offsets(consumer.assignment())
    return ends


async def read_to(consumer: AIOKafkaConsumer, ends: Ends) -> AsyncIterator[Mapping[str, Any]]:
    """Yield the values of committed messages, until the position has passed these offsets."""
    has_passed = False
    while not has_passed:
        for messages in (await consumer.getmany(timeout_ms=1000)).values():
            for message in messages:
                yield json.loads(message.value)
        has_passed = all([await consumer.position(partition) >= end for partition, end in ends.items()])


async def wait_until_final(kafka: str, topic: str, streams: Sequence[str], end: datetime) -> None:
    """Return when `final` of every stream has reached the time. Only the last message of a stream counts."""
    finals: dict[str, datetime] = {}
    waiting: Sequence[str] = ()
    async with consuming(kafka, topic) as consumer:
        while True:
            async for value in read_to(consumer, await ends_of(consumer)):
                finals[f"{value['source']}/{value['stream']}"] = datetime.fromisoformat(value["final"])
            before, waiting = waiting, [name for name in streams if name not in finals or finals[name] < end]
            if not waiting:
                return
            if waiting != before:
                print(f"waiting for {' '.join(waiting)}", file=sys.stderr, flush=True)


async def high_watermarks(kafka: str, topic: str) -> Ends:
    async with consuming(kafka, topic, isolation_level="read_uncommitted") as consumer:
        return await ends_of(consumer)


async def count_viewers(kafka: str, topic: str, ends: Ends, start: datetime, end: datetime) -> Mapping[int, int]:
    """Count the viewers who arrived between these times, by location. A viewer may be in the topic twice."""
    viewers = defaultdict[int, set[str]](set)
    async with consuming(kafka, topic) as consumer:
        async for value in read_to(consumer, ends):
            if start <= datetime.fromisoformat(value["started_at"]) < end:
                viewers[value["location_id"]].add(value["event_id"])
    return {location: len(ids) for location, ids in sorted(viewers.items())}


async def main() -> None:
    parser = argparse.ArgumentParser(description="Count the viewers of one hour by location, when it is complete.")
    parser.add_argument("--kafka", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--progress", default="collector.progress", metavar="TOPIC")
    parser.add_argument("--viewers", default="quividi.viewers", metavar="TOPIC")
    parser.add_argument("--hour", required=True, type=datetime.fromisoformat, help="its start, with Z")
    parser.add_argument("streams", nargs="+", metavar="SOURCE/STREAM", help="every stream that publishes viewers")
    options = parser.parse_args()
    start, end = options.hour, options.hour + timedelta(hours=1)
    await wait_until_final(options.kafka, options.progress, options.streams, end)
    ends = await high_watermarks(options.kafka, options.viewers)
    print(f"complete: reading {len(ends)} partitions to their ends", file=sys.stderr, flush=True)
    for location, number in (await count_viewers(options.kafka, options.viewers, ends, start, end)).items():
        print(f"{location}\t{number}")


if __name__ == "__main__":
    asyncio.run(main())
