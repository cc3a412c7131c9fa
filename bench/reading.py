"""Reads what was published, as a consumer with librdkafka."""

from collections.abc import Iterator
from typing import Any


def committed_messages(kafka: str, topic: str) -> Iterator[Any]:
    """The committed messages of a topic, up to its present end."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - needed only here

    options = {"bootstrap.servers": kafka, "group.id": f"{topic}.reader", "enable.auto.commit": False}
    consumer = Consumer(options | {"enable.partition.eof": True})
    open_partitions = set(consumer.list_topics(topic, 30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, each, 0) for each in open_partitions])
    while open_partitions:
        message = consumer.poll(30)
        if message is None:
            raise RuntimeError("the broker did not respond")
        if message.error():
            open_partitions.discard(message.partition())
        else:
            yield message
    consumer.close()
