"""An embedded broker for the demo: librdkafka's mock cluster in a process of its own.

It keeps 5 MiB per partition in memory, does not fence producers, and creates a topic with 4 partitions at its first
use. It prints its address and ends when its standard input is closed.
"""

import sys

PARTITIONS = 4


def main() -> None:
    # An optional extra of the package: it is not needed with the user's own broker.
    from confluent_kafka import Producer  # noqa: PLC0415

    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.read()


if __name__ == "__main__":
    main()
