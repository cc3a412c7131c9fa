"""Places to which no log line can be written, as a daemon gets them from a shell, a container or a full disk."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from msgspec import Struct

from tests.kafka.daemon import Daemon

ERRORS = "collector_log_errors_total"
UNREAD_BYTES = 2 * 4096
"""What a pipe that nobody reads takes: less than the usual 64 KiB, so that a daemon's first seconds fill it."""


class LogTarget(Struct, frozen=True):
    """What becomes of a daemon's stdout and stderr."""

    name: str
    redirect: str = ""
    pipe: Literal["no reader", "unread"] | None = None
    """Of its stderr."""
    is_writable: bool = False


TARGETS = (
    LogTarget("full", "2>/dev/full"),
    LogTarget("pipe without a reader", pipe="no reader"),
    LogTarget("pipe that nobody reads", pipe="unread"),
    LogTarget("stderr closed", "2>&-"),
    LogTarget("stdout closed", ">&-", is_writable=True),
    LogTarget("stdout and stderr closed", ">&- 2>&-"),
    LogTarget("all three closed", "<&- >&- 2>&-"),
)


@contextmanager
def started(daemon: Daemon, target: LogTarget) -> Iterator[int | None]:
    """Start it so; the end to read from, of a pipe that nobody reads until the caller does."""
    reading = None
    daemon.redirect = target.redirect
    if target.pipe is not None:
        reading, daemon.stderr = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, UNREAD_BYTES)
        if target.pipe == "no reader":
            os.close(reading)
            reading = None
    try:
        daemon.start()
        if daemon.stderr is not None:
            os.close(daemon.stderr)
        yield reading
    finally:
        daemon.redirect, daemon.stderr = "", None
        if reading is not None:
            os.close(reading)
