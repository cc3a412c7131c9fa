"""`collector` on a machine whose clock is ahead: `ahead.py SECONDS run --config …`, or with a file that says how many.

All that the process is shown is ahead: Python's clock, the collector's, and the time that a Kafka record is written at.
The monotonic clock is right, as it is on a machine whose clock was set wrong. The file counts while the process runs.
"""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

READ_EVERY_S = 0.1


def read(given: str) -> Callable[[], float]:
    """How many seconds the clock is ahead at present."""
    try:
        constant = float(given)
    except ValueError:
        return _Written(Path(given))
    return lambda: constant


class _Written:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds = 0.0
        self._read_at = -READ_EVERY_S

    def __call__(self) -> float:
        if time.monotonic() - self._read_at >= READ_EVERY_S:
            self._seconds, self._read_at = float(self._file.read_text("utf-8")), time.monotonic()
        return self._seconds


def be_ahead(ahead_s: Callable[[], float]) -> None:
    """From now on; so that nobody keeps the right one, before anything else is imported."""
    right, right_ns = time.time, time.time_ns
    time.time = lambda: right() + ahead_s()
    time.time_ns = lambda: right_ns() + int(ahead_s() * 1e9)

    from aiokafka.producer.message_accumulator import BatchBuilder  # noqa: PLC0415 - not before

    from collector.clock import SystemClock  # noqa: PLC0415 - not before

    now, append = SystemClock.now, BatchBuilder.append

    def now_ahead(self: SystemClock) -> datetime:
        return now(self) + timedelta(seconds=ahead_s())

    def append_ahead(  # aiokafka's compiled code looks at the machine's clock by itself where no time is given
        self: BatchBuilder,
        *,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> object:
        written_ms = int(time.time() * 1000) if timestamp is None else timestamp
        return append(self, timestamp=written_ms, key=key, value=value, headers=headers)

    SystemClock.now = now_ahead  # type: ignore[method-assign]
    BatchBuilder.append = append_ahead


if __name__ == "__main__":
    be_ahead(read(sys.argv.pop(1)))
    from collector.cli import main

    main()
