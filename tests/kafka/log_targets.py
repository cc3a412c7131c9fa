"""Log targets that cannot be written to, as a daemon inherits them from a shell, a container or a full disk."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from msgspec import Struct

from tests.kafka.daemon import Daemon

ERRORS = "collector_log_errors_total"
UNREAD_PIPE_BYTES = 2 * 4096
"""The capacity of the unread pipe: less than the usual 64 KiB, so that the first seconds of a daemon fill it."""


class LogTarget(Struct, frozen=True):
    """What a daemon's stdout and stderr are connected to."""

    name: str
    redirect: str = ""
    pipe: Literal["no reader", "unread"] | None = None
    """The pipe that stderr is connected to."""
    is_writable: bool = False


TARGETS = (
    LogTarget("full", "2>/dev/full"),
    LogTarget("pipe without a reader", pipe="no reader"),
    LogTarget("unread pipe", pipe="unread"),
    LogTarget("stderr closed", "2>&-"),
    LogTarget("stdout closed", ">&-", is_writable=True),
    LogTarget("stdout and stderr closed", ">&- 2>&-"),
    LogTarget("all three closed", "<&- >&- 2>&-"),
)


@contextmanager
def started(daemon: Daemon, target: LogTarget) -> Iterator[int | None]:
    """Start the daemon with this target. Yields the read end of an unread pipe, otherwise None."""
    reading = None
    daemon.redirect = target.redirect
    if target.pipe is not None:
        reading, daemon.stderr = os.pipe()
        fcntl.fcntl(reading, fcntl.F_SETPIPE_SZ, UNREAD_PIPE_BYTES)
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
