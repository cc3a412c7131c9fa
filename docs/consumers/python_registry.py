#!/usr/bin/env python3
"""Prints the values of a topic, each validated with the schema that a header names.

    pip install 'confluent-kafka[json,schemaregistry]'
    python python_registry.py --kafka localhost:9092 --registry http://localhost:8081 quividi.viewers

The collector writes the header with `[kafka.schema_registry]` in its configuration. Messages that were published before
that have no header; they are printed without a validation. Any JSON parser reads both alike.
"""

import argparse
import json
import sys
from typing import Any

from confluent_kafka import Consumer, Message
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

SCHEMA_ID = "__value_schema_id"


def value_of(message: Message, deserialize: JSONDeserializer) -> Any:  # noqa: ANN401 - JSON
    """The value. Raises SerializationError if it does not match its schema."""
    headers = message.headers() or []
    if SCHEMA_ID not in dict(headers):
        return json.loads(message.value())
    return deserialize(message.value(), SerializationContext(message.topic(), MessageField.VALUE, headers))


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the values of topics, validated with their schemas.")
    parser.add_argument("--kafka", default="localhost:9092", metavar="HOST:PORT")
    parser.add_argument("--registry", default="http://localhost:8081", metavar="URL")
    parser.add_argument("--group", default="registry-example")
    parser.add_argument("topics", nargs="+", metavar="TOPIC")
    options = parser.parse_args()
    deserialize = JSONDeserializer(None, schema_registry_client=SchemaRegistryClient({"url": options.registry}))
    consumer = Consumer(
        {
            "bootstrap.servers": options.kafka,
            "group.id": options.group,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe(options.topics)
    try:
        while True:
            message = consumer.poll(1.0)
            if message is None:
                continue
            if message.error():
                print(message.error(), file=sys.stderr)
                continue
            print(json.dumps(value_of(message, deserialize)), flush=True)
    finally:
        consumer.close()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
