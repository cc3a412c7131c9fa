"""Sends the same messages, encoded in advance, in prebuilt batches and transactions of aiokafka.

This is the limit for a client in Python. Arguments: KAFKA PREFIX.
"""

import asyncio
import sys
from collections import defaultdict
from itertools import islice
from typing import Any

import aiokafka
import uvloop
from aiokafka.partitioner import DefaultPartitioner

from bench.history import EVENTS_PER_SESSION, SESSIONS, messages
from bench.measurement import Stopwatch
from bench.with_librdkafka import ENCODED_SESSIONS
from collector.kafka.producer import MAX_BATCH_BYTES  # the import also sets its compression level

MESSAGES_PER_TRANSACTION = 8_000


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
            remaining = iter(encoded)
            while chunk := list(islice(remaining, MESSAGES_PER_TRANSACTION)):
                batches_of: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
                for topic, key, value, headers in chunk:
                    batches = batches_of[topic, choose(key, partitions[topic], partitions[topic])]
                    if not batches or batches[-1].append(timestamp=None, key=key, value=value, headers=headers) is None:
                        batches.append(producer.create_batch())
                        batches[-1].append(timestamp=None, key=key, value=value, headers=headers)
                await producer.begin_transaction()
                sent = [
                    await producer.send_batch(batch, topic, partition=partition)
                    for (topic, partition), batches in batches_of.items()
                    for batch in batches
                ]
                await asyncio.gather(*sent)
                await producer.commit_transaction()
        watch.report(SESSIONS * EVENTS_PER_SESSION)


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
