"""The file descriptor that log lines are written to. A line that cannot be written is counted as lost.

There is no thread and no buffer: a line is written before the call returns, so the last line of a process is not lost.
"""

import io
import os
import re
import select
import stat
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import RLock

from collector.redaction import redact

STDERR_FD = 2
MAX_WAIT_MS = 20.0
"""The longest wait for space in a full pipe: a healthy reader is scheduled within it, and it does not delay polls."""
MAX_WAIT_SHARE = 0.02
"""The largest share of time spent on such waits: if the reader is always too slow, lines are dropped instead."""

_NEWLINE = ord("\n")
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Characters that programs treat as the end of a line, as a command to a terminal, or as a change of direction."""


class LogTarget:
    """Writes lines to a file descriptor, whatever its state: full, closed, or a pipe without a reader."""

    def __init__(self, fd: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns monotonic seconds."""
        self.is_terminal = os.isatty(fd)
        self.lost = 0
        """Lines lost since the process started."""
        self.notice: Callable[[int], str | None] = "log_lines_lost lines={}".format
        """Returns the line that reports the number of lost lines, or None if the log level excludes it."""
        self._fd = _nonblocking(fd)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._clock = clock
        self._wait_ms = MAX_WAIT_MS
        """How long the next write may wait. Replenished over time."""
        self._replenished_s = clock()
        """The clock when `_wait_ms` was last replenished."""
        self._unreported = 0
        """Lines lost since the last notice."""
        self._is_truncated = _ends_within_line(fd)
        """Whether the last write stopped in the middle of a line, also that of a former process to the same file."""
        self._lock = RLock()
        self._is_busy = False

    def write(self, line: str) -> None:
        """Write the line and a newline. Never raises; waits at most `MAX_WAIT_MS` for a slow reader.

        Line separators, C1 controls and controls of the direction of text are escaped, as JSON escapes them. Half of a
        pair of surrogates becomes `?`.
        """
        with self._lock:
            if self._is_busy:  # called by a finalizer that runs during this thread's own write
                self.lose()
                return
            self._is_busy = True
            try:
                if not (self._report() and self._put(line)):
                    self.lose()
            finally:
                self._is_busy = False

    def lose(self) -> None:
        """Count a line that cannot be written or rendered."""
        with self._lock:
            self.lost += 1
            self._unreported += 1

    def _report(self) -> bool:
        """Write a notice if lines were lost before. Returns False if it cannot be written."""
        if number := self._unreported:
            notice = self.notice(number)
            if notice is not None and not self._put(notice):
                return False
            self._unreported -= number
        return True

    def _put(self, line: str) -> bool:
        """Write the line. Returns whether it was written completely."""
        text = f"\n{line}\n" if self._is_truncated else f"{line}\n"
        text = _UNSAFE.sub(lambda char: f"\\u{ord(char[0]):04x}", text)
        unwritten = memoryview(text.encode(errors="replace"))
        try:
            # A pipe that is ready accepts PIPE_BUF bytes without blocking; more may block.
            while unwritten and self._can_write() and (written := os.write(self._fd, unwritten[: select.PIPE_BUF])):
                self._is_truncated = unwritten[written - 1] != _NEWLINE
                unwritten = unwritten[written:]
        except OSError:
            pass  # full, closed, or without a reader; this may change before the next line
        return not unwritten

    def _can_write(self) -> bool:
        """Whether a write returns at once, because there is space or because it fails."""
        if self._poll.poll(0):
            return True
        now_s = self._clock()
        self._wait_ms = min(MAX_WAIT_MS, self._wait_ms + (now_s - self._replenished_s) * 1000 * MAX_WAIT_SHARE)
        self._replenished_s = now_s
        if self._wait_ms < 1:
            return False
        if not self._poll.poll(int(self._wait_ms)):
            self._wait_ms = 0.0
            return False
        self._wait_ms -= (self._clock() - now_s) * 1000
        return True


class PrintedLines(io.TextIOBase):
    """Replaces sys.stderr, to which Python itself prints warnings and errors of finalizers."""

    def __init__(self, target: LogTarget) -> None:
        self._target = target
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._target.write(redact(line))
        return len(text)

    def flush(self) -> None:
        if self._rest:
            self.write("\n")

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._target.is_terminal


@cache
def stderr_target() -> LogTarget:
    """The stderr of this process. One object, so that lost lines are counted in one place."""
    return LogTarget(STDERR_FD)


def _ends_within_line(fd: int) -> bool:
    """Whether the descriptor is that of a file whose last line has no newline. False if it cannot be read."""
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or not found.st_size:
            return False
        with Path(f"/proc/self/fd/{fd}").open("rb", buffering=0) as file:
            return os.pread(file.fileno(), 1, found.st_size - 1) != b"\n"
    except OSError:
        return False


def _nonblocking(fd: int) -> int:
    """Reopen a pipe or terminal in non-blocking mode. Returns `fd` itself if the system does not allow that.

    Polling for space is not enough: another process may fill a pipe between the poll and the write, and a terminal may
    have space for less than a line. Setting the flag on `fd` itself would affect every process that shares it.
    """
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode) or os.isatty(fd):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        pass  # no reader, no permission, or no /proc
    return fd
