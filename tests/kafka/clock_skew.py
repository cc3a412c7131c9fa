"""`collector` on a machine whose clock is ahead: `clock_skew.py SECONDS run --config …`.

Instead of SECONDS, a file can be given that contains the number; a change of the file takes effect at once. The skew
applies to every clock that the process reads: Python's, the collector's, and the timestamps of Kafka records. The
monotonic clock is not affected, as on a machine whose wall clock is set wrong.
"""

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

READ_EVERY_S = 0.1


def parse_skew(argument: str) -> Callable[[], float]:
    """A function that returns by how many seconds the clock is ahead at present."""
    try:
        constant = float(argument)
    except ValueError:
        return _SkewFile(Path(argument))
    return lambda: constant


class _SkewFile:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._seconds = 0.0
        self._read_at = -READ_EVERY_S

    def __call__(self) -> float:
        if time.monotonic() - self._read_at >= READ_EVERY_S:
            self._seconds, self._read_at = float(self._file.read_text("utf-8")), time.monotonic()
        return self._seconds


def skew_clocks(skew_s: Callable[[], float]) -> None:
    """Patch the clocks. Call it before anything else is imported, so that no module keeps the original functions."""
    original, original_ns = time.time, time.time_ns
    time.time = lambda: original() + skew_s()
    time.time_ns = lambda: original_ns() + int(skew_s() * 1e9)

    from collector.clock import SystemClock  # noqa: PLC0415 - not before

    now = SystemClock.now

    def skewed_now(self: SystemClock) -> datetime:
        return now(self) + timedelta(seconds=skew_s())

    SystemClock.now = skewed_now  # type: ignore[method-assign]


if __name__ == "__main__":
    skew_clocks(parse_skew(sys.argv.pop(1)))
    from collector.cli import main

    main()
