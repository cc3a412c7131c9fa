"""The limit: the same messages, already encoded, in prebuilt batches of aiokafka in transactions; KAFKA PREFIX."""

import asyncio
import sys
from collections import defaultdict
from itertools import islice
from typing import Any

import aiokafka
import uvloop
from aiokafka.partitioner import DefaultPartitioner

from bench.history import EVENTS_A_SESSION, SESSIONS, messages
from bench.librdkafka import ENCODED_SESSIONS
from bench.measured import Stopwatch
from collector.kafka.producer import MAX_BATCH_BYTES  # and, by being imported, its level of compression

A_TRANSACTION = 8_000


async def main(kafka: str, prefix: str) -> None:
    encoded = [(prefix + each.topic, each.key, each.value, each.headers) for each in messages(ENCODED_SESSIONS)]
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=kafka,
        transactional_id=f"{prefix}limit",
        compression_type="lz4",
        max_batch_size=MAX_BATCH_BYTES,
    ) as producer:
        partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in {each[0] for each in encoded}}
        choose = DefaultPartitioner()
        watch = Stopwatch()
        for _ in range(SESSIONS // ENCODED_SESSIONS):
            left = iter(encoded)
            while some := list(islice(left, A_TRANSACTION)):
                places: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
                for topic, key, value, headers in some:
                    place = places[topic, choose(key, partitions[topic], partitions[topic])]
                    if not place or place[-1].append(timestamp=None, key=key, value=value, headers=headers) is None:
                        place.append(producer.create_batch())
                        place[-1].append(timestamp=None, key=key, value=value, headers=headers)
                await producer.begin_transaction()
                sent = [
                    await producer.send_batch(batch, topic, partition=partition)
                    for (topic, partition), batches in places.items()
                    for batch in batches
                ]
                await asyncio.gather(*sent)
                await producer.commit_transaction()
        watch.telemetry(SESSIONS * EVENTS_A_SESSION)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
