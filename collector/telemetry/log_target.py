"""Where log lines go. A line that cannot be written is lost and counted; nothing else in the process changes.

There is no thread and no buffer: a line is written before the call returns, and so is the last one of a process.
"""

import io
import os
import select
import stat
import time
from collections.abc import Callable
from functools import cache
from threading import RLock

from collector.secrets import redact

STDERR_FD = 2
MAX_WAIT_MS = 20.0
"""For room in a full pipe: more than a healthy reader needs to be scheduled and to read, less than anybody notices."""
MAX_WAIT_SHARE = 0.02
"""The share of all time that such waits may take: with a reader that is always too slow, lines are lost, not time."""


class LogTarget:
    """A file descriptor for lines, which may fail in any way."""

    def __init__(self, fd: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds, and never goes back."""
        self.is_terminal = os.isatty(fd)
        self.lost = 0
        """Lines, since the process began."""
        self.notice: Callable[[int], str | None] = "log_lines_lost lines={}".format
        """Returns the line that reports how many were lost, or None if the level forbids it."""
        self._fd = _unblocked(fd)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._clock = clock
        self._wait_ms = MAX_WAIT_MS
        """How long the next write may wait; it grows again with time."""
        self._waited_s = clock()
        """When that was calculated, by the clock."""
        self._unreported = 0
        self._is_cut = False
        """Whether the last write ended in the middle of a line."""
        self._lock = RLock()
        self._is_busy = False

    def write(self, line: str) -> None:
        """Write the line and the newline that ends it. Never raises; waits at most `MAX_WAIT_MS` for a reader."""
        with self._lock:
            if self._is_busy:  # a finalizer, called in the middle of a line, reports its error
                self.lose()
                return
            self._is_busy = True
            try:
                if not (self._report() and self._put(line)):
                    self.lose()
            finally:
                self._is_busy = False

    def lose(self) -> None:
        """Count a line that cannot be written, or for which there is no text."""
        with self._lock:
            self.lost += 1
            self._unreported += 1

    def _report(self) -> bool:
        """Report the lines that were lost before, if there are any; whether that succeeded."""
        if number := self._unreported:
            notice = self.notice(number)
            if notice is not None and not self._put(notice):
                return False
            self._unreported -= number
        return True

    def _put(self, line: str) -> bool:
        """Write it; whether all of it is written."""
        text = f"\n{line}\n" if self._is_cut else f"{line}\n"
        left = memoryview(text.encode(errors="replace"))
        try:
            # A pipe that is ready takes so many bytes without blocking, and not always more.
            while left and self._has_room() and (written := os.write(self._fd, left[: select.PIPE_BUF])):
                left = left[written:]
                self._is_cut = bool(left)
        except OSError:
            pass  # full, closed, or without a reader: the next line may find it otherwise
        return not left

    def _has_room(self) -> bool:
        """Whether a write is worth trying: there is room, or it fails at once."""
        if self._poll.poll(0):
            return True
        now_s = self._clock()
        self._wait_ms = min(MAX_WAIT_MS, self._wait_ms + (now_s - self._waited_s) * 1000 * MAX_WAIT_SHARE)
        self._waited_s = now_s
        if self._wait_ms < 1:
            return False
        if not self._poll.poll(int(self._wait_ms)):
            self._wait_ms = 0.0
            return False
        self._wait_ms -= (self._clock() - now_s) * 1000
        return True


class PrintedLines(io.TextIOBase):
    """Takes the place of sys.stderr: Python itself prints there, such as warnings and errors of finalizers."""

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
    """The stderr of this process: one object, so that there is one count of lost lines."""
    return LogTarget(STDERR_FD)


def _unblocked(fd: int) -> int:
    """The same pipe or terminal, opened so that no write to it blocks; where the system does not allow that, as it is.

    Checking for room is not enough: another process may fill a pipe between the check and the write, and a terminal may
    have room for less than a line. It is opened anew because the flag, set on `fd`, would count for all who share it.
    """
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode) or os.isatty(fd):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        pass  # no reader, no right, or no such system
    return fd
