"""Detects that a vendor has changed its format: too many of the most recent rows cannot be decoded."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from collector.model import Record, Reject

RECENT_ROWS = 1000
MAX_REJECT_SHARE = 0.1
MIN_REJECTS = 20
"""Fewer rejects than this may be individual malformed rows, whatever their share."""


class RejectRate:
    """The share of rejects among the last RECENT_ROWS rows of one stream."""

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=RECENT_ROWS)
        self.last_error = ""
        """The error of the latest reject."""

    def add(self, rows: Iterable[Record[Any] | Reject]) -> bool:
        """Count the rows. Returns whether a reject is among them."""
        has_reject = False
        for row in rows:
            self._recent.append(isinstance(row, Reject))
            if isinstance(row, Reject):
                has_reject, self.last_error = True, row.error
        return has_reject

    def take_excess(self) -> tuple[int, int] | None:
        """If there are too many rejects, return the numbers of rejects and of rows, and clear both; else None."""
        rejects, rows = sum(self._recent), len(self._recent)
        if rejects < MIN_REJECTS or rejects <= MAX_REJECT_SHARE * rows:
            return None
        self._recent.clear()
        return rejects, rows
