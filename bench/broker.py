"""The broker of a benchmark."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka import broker
from tests.kafka.broker import Broker


@contextmanager
def running(home: Path) -> Iterator[Broker]:
    """The broker of the tests with the JVM's default options: it takes longer to start, and serves for longer."""
    with broker.running(home, options=()) as started:
        yield started
