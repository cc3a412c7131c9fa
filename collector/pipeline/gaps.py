"""Finds gaps in sequence numbers: records that a vendor numbered and the collector has never received.

The received numbers of each series (a device) form runs. The numbers between two runs are missing. A gap closes when
its records arrive late. Its records count as lost when `final` passes the start of the record after it. Gaps are kept
only in memory: after a restart, the first sweep finds them again.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from collector.model import Gap

MAX_RUNS = 1000
"""Runs of one series. If there are more, the oldest gaps are dropped."""


class Run(Struct):
    """Consecutive received numbers, and the starts of the first and the last record in Unix milliseconds."""

    first: int
    last: int
    first_ms: int
    last_ms: int


class Gaps:
    """The gaps of one stream."""

    def __init__(self) -> None:
        self._runs: dict[int, list[Run]] = {}

    def add(self, series: int, number: int, start_ms: int) -> None:
        """Add the number of a received record in its series, and the record's start in Unix milliseconds."""
        runs = self._runs.setdefault(series, [])
        if runs and runs[-1].last + 1 == number:  # the usual case
            runs[-1].last, runs[-1].last_ms = number, start_ms
            return
        nth = bisect_right(runs, number, key=_first)
        before = runs[nth - 1] if nth else None
        after = runs[nth] if nth < len(runs) else None
        if before is not None and number <= before.last:
            return
        if before is not None and before.last + 1 == number:
            before.last, before.last_ms = number, start_ms
            if after is not None and number + 1 == after.first:
                before.last, before.last_ms = after.last, after.last_ms
                del runs[nth]
        elif after is not None and number + 1 == after.first:
            after.first, after.first_ms = number, start_ms
        else:
            runs.insert(nth, Run(number, number, start_ms, start_ms))
            del runs[:-MAX_RUNS]

    def count_open(self, from_ms: int, before_ms: int) -> int:
        """The number of records missing in gaps whose next record starts before `before_ms`.

        Gaps whose previous record starts before `from_ms` are left out.
        """
        return sum(gap.count for gap in self if from_ms <= gap.previous_start_ms and gap.next_start_ms < before_ms)

    def take_lost(self, from_ms: int, final_ms: int) -> list[Gap]:
        """The gaps whose next record starts before `final_ms`: their records are lost. Each gap is returned only once.

        Gaps whose previous record starts before `from_ms` are left out.
        """
        lost = [gap for gap in self if from_ms <= gap.previous_start_ms and gap.next_start_ms < final_ms]
        for runs in self._runs.values():
            passed = [run for run in runs if run.first_ms < final_ms]
            if len(passed) > 1:
                latest = max(passed, key=_last_ms)
                runs[:] = [run for run in runs if run is latest or run.first_ms >= final_ms]
        return lost

    def __iter__(self) -> Iterator[Gap]:
        for series, runs in self._runs.items():
            for before, after in pairwise(runs):
                if before.last_ms <= after.first_ms:  # otherwise the device has restarted its count
                    yield Gap(series, before.last + 1, after.first - 1, before.last_ms, after.first_ms)


def _first(run: Run) -> int:
    return run.first


def _last_ms(run: Run) -> int:
    return run.last_ms
