"""Sends the same messages, encoded in advance, with librdkafka. Arguments: KAFKA PREFIX."""

import sys

from confluent_kafka import Producer

from bench.history import EVENTS_PER_SESSION, SESSIONS, messages
from bench.measurement import Stopwatch

ENCODED_SESSIONS = 20_000
"""The number of encoded sessions in memory. They are sent again and again, until as many as `SESSIONS` are sent."""


def main(kafka: str, prefix: str) -> None:
    encoded = [(prefix + each.topic, each.key, each.value, each.headers) for each in messages(ENCODED_SESSIONS)]
    producer = Producer(
        {
            "bootstrap.servers": kafka,
            "compression.type": "lz4",
            "linger.ms": 5,
            "batch.size": 256 << 10,
            "queue.buffering.max.messages": 1_000_000,
            "partitioner": "murmur2_random",
            "acks": "all",
        }
    )
    watch = Stopwatch()
    for _ in range(SESSIONS // ENCODED_SESSIONS):
        for topic, key, value, headers in encoded:
            while True:
                try:
                    producer.produce(topic, value, key, headers=headers)
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    watch.report(SESSIONS * EVENTS_PER_SESSION)


if __name__ == "__main__":
    main(*sys.argv[1:])
