"""Finds gaps in sequence numbers: records that a vendor numbered and the collector has never received.

The received numbers of each series (a device) form runs. The numbers between two runs are missing. A gap closes when
its records arrive late. They count as lost when `final` has passed the starts of the records on both sides of the gap,
its neighbours. Gaps are kept only in memory: after a restart, the first sweep finds them again.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from collector.model import Gap

MAX_RUNS = 1000
"""Runs of one series. If there are more, the oldest gaps are dropped."""
MAX_ALL_RUNS = 20_000
"""Runs of all series. If there are more, the series that was received first is dropped: as if it were new."""


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
        self._count = 0
        """The number of all runs."""

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
                self._count -= 1
        elif after is not None and number + 1 == after.first:
            after.first, after.first_ms = number, start_ms
        else:
            runs.insert(nth, Run(number, number, start_ms, start_ms))
            self._count += 1
            if len(runs) > MAX_RUNS:
                del runs[0]
                self._count -= 1
            if self._count > MAX_ALL_RUNS:
                self._count -= len(self._runs.pop(next(iter(self._runs))))

    def count_open(self, from_ms: int, before_ms: int) -> int:
        """The number of missing records in gaps whose two neighbours start in `[from_ms, before_ms)`."""
        return sum(gap.count for gap in self if from_ms <= gap.earlier_start_ms and gap.later_start_ms < before_ms)

    def take_lost(self, from_ms: int, final_ms: int) -> list[Gap]:
        """The gaps whose two neighbours start before `final_ms`: their records are lost. Each gap is returned once.

        A gap with a neighbour that starts before `from_ms` is removed, but not returned: its records may have been
        received before this process started.
        """
        lost = []
        for series, runs in self._runs.items():
            kept = runs[:1]
            for after, gap in zip(runs[1:], _gaps(series, runs), strict=True):
                if gap is None:
                    if after.last_ms >= final_ms:
                        kept.append(after)
                elif gap.later_start_ms >= final_ms:
                    kept.append(after)
                else:
                    if from_ms <= gap.earlier_start_ms:
                        lost.append(gap)
                    kept[-1].last, kept[-1].last_ms = after.last, after.last_ms
            self._count -= len(runs) - len(kept)
            runs[:] = kept
        return lost

    def __iter__(self) -> Iterator[Gap]:
        for series, runs in self._runs.items():
            yield from filter(None, _gaps(series, runs))


def _gaps(series: int, runs: Sequence[Run]) -> Sequence[Gap | None]:
    """The gap between each two neighbouring runs; None where the series has restarted its count.

    Records may start in another order than that of their numbers. A series has restarted its count when everything with
    a higher number started earlier.
    """
    newest_ms = -math.inf
    gaps: list[Gap | None] = []
    for before, after in reversed(list(pairwise(runs))):
        newest_ms = max(newest_ms, after.last_ms)
        earlier_ms, later_ms = sorted((before.last_ms, after.first_ms))
        is_gap = before.last_ms <= newest_ms
        gaps.append(Gap(series, before.last + 1, after.first - 1, earlier_ms, later_ms) if is_gap else None)
    return gaps[::-1]


def _first(run: Run) -> int:
    return run.first
