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
    """The share of rejects among the last RECENT_ROWS rows of one stream."""

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=RECENT_ROWS)
        self.last_error = ""
        """The error of the latest reject."""

    def add(self, row: Record[Any] | Reject) -> bool:
        """Count a row. Returns whether it is a reject."""
        is_reject = isinstance(row, Reject)
        self._recent.append(is_reject)
        if isinstance(row, Reject):
            self.last_error = row.error
        return is_reject

    def take_excess(self) -> tuple[int, int] | None:
        """If there are too many rejects, return the numbers of rejects and of rows, and clear both; else None."""
        rejects, rows = sum(self._recent), len(self._recent)
        if rejects < MIN_REJECTS or rejects <= MAX_REJECT_SHARE * rows:
            return None
        self._recent.clear()
        return rejects, rows
