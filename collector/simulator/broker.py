"""An embedded broker for trying things out: librdkafka's mock cluster, in a process of its own.

It keeps 5 MiB a partition in memory, does not fence, and creates a topic with 4 partitions when it is first named. It
prints its address, and ends with its standard input.
"""

import sys

PARTITIONS = 4


def main() -> None:
    # An optional extra of the package: whoever has a broker needs no other.
    from confluent_kafka import Producer  # noqa: PLC0415

    cluster = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "mock", "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    print(f"{broker.host}:{broker.port}", flush=True)  # noqa: T201 - the parent reads it
    sys.stdin.read()


if __name__ == "__main__":
    main()
