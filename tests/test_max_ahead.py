"""How far Kafka lets timestamps be ahead, from the settings of a topic."""

from datetime import timedelta

import pytest

from collector.kafka.topics import Topic, max_ahead


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ({"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "3600000"}, timedelta(hours=1)),
        ({"message.timestamp.type": "CreateTime", "message.timestamp.after.max.ms": "9223372036854775807"}, None),
        ({"message.timestamp.type": "LogAppendTime", "message.timestamp.after.max.ms": "3600000"}, None),
        ({"message.timestamp.type": "CreateTime"}, None),
        ({}, None),
    ],
    ids=["Kafka 4", "Kafka 3", "the brokers' own timestamps", "older than Kafka 3.6", "may not be described"],
)
def test_the_limit_is_that_of_the_topic(configs: dict[str, str], expected: timedelta | None) -> None:
    assert expected == max_ahead(Topic(1, configs))
