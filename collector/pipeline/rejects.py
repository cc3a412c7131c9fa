"""Detects that a vendor has changed its format: too many of the most recent rows cannot be decoded."""

from collections import deque
from datetime import datetime
from typing import Any

from collector.model import Record, Reject

RECENT_ROWS = 1000
MAX_REJECT_SHARE = 0.1
MIN_REJECTS = 20
"""Fewer rejects than this may be individual malformed rows, whatever their share."""


MAX_DEAD_LETTERS = 10_000
"""The most dead letters of a stream in one hour, and of one response."""


FAR_AHEAD = "it starts more than a day after the present time"
"""The error of a record that was decoded, but not published because of its time."""


class DeadLetterCap:
    """Limits the dead letters of one stream in each hour."""

    def __init__(self) -> None:
        self._hour = 0
        self._count = 0

    def add(self, count: int, now: datetime) -> bool:
        """Count dead letters. Returns whether there are too many in the present hour."""
        hour = int(now.timestamp()) // 3600
        if hour != self._hour:
            self._hour, self._count = hour, 0
        self._count += count
        return self._count > MAX_DEAD_LETTERS


class RejectRate:
    """The share of rejects among the last RECENT_ROWS rows of one stream.

    A reject that is a dead letter already does not count again: otherwise, one malformed thing in a short list would
    park the stream after some responses. It counts if its result contains no record at all.
    """

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=RECENT_ROWS)
        self.last_error = ""
        """The error of the latest reject."""
        self.begin_result()

    def begin_result(self) -> None:
        """The rows that follow are those of another result."""
        self.rejects = 0
        """The rejects of the present result, counted or not."""
        self._known = 0
        self._has_records = False

    def add(self, row: Record[Any] | Reject, *, is_known: bool) -> None:
        """Count a row of the present result. `is_known` is that of a reject."""
        if isinstance(row, Record):
            self._has_records = True
        else:
            self.rejects += 1
            self.last_error = row.error
            if is_known:
                self._known += 1
                return
        self._recent.append(isinstance(row, Reject))

    def take_excess(self) -> tuple[int, int] | None:
        """At the end of a result with rejects: if there are too many, the numbers of rejects and of rows; else None.

        Clears both if there are too many.
        """
        if not self.rejects:
            return None
        if not self._has_records:
            self._recent.extend([True] * self._known)
        rejects, rows = sum(self._recent), len(self._recent)
        if rejects < MIN_REJECTS or rejects <= MAX_REJECT_SHARE * rows:
            return None
        self._recent.clear()
        return rejects, rows
