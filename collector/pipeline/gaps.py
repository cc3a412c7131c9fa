"""Finds gaps in sequence numbers: records that a vendor numbered and the collector has never received.

The received numbers of each series (a device) form runs. The numbers between two runs are missing. A gap closes when
its records arrive late, and is lost when `final` passes the start of the record after it. Gaps are kept only in
memory: after a restart, the first sweep finds them again.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from collector.model import Gap

MAX_RUNS = 1000
"""Per series. Beyond it, the oldest gaps are forgotten."""


class Run(Struct):
    """Received numbers without a gap, and the starts of the first and the last of their records."""

    first: int
    last: int
    first_ms: int
    last_ms: int


class Gaps:
    """The gaps of one stream."""

    def __init__(self) -> None:
        self._runs: dict[int, list[Run]] = {}

    def add(self, series: int, number: int, start_ms: int) -> None:
        """Note that a record was received: its number in its series, and its start in Unix milliseconds."""
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
        """The number of missing records next to which all received ones start in `[from_ms, before_ms)`."""
        return sum(gap.count for gap in self if from_ms <= gap.after_ms and gap.since_ms < before_ms)

    def take_lost(self, from_ms: int, final_ms: int) -> list[Gap]:
        """The gaps in which no record can arrive any more. Closes them, so that each is returned once.

        Gaps next to a record that starts before `from_ms` are closed and left out: whether they are complete was never
        known.
        """
        lost = []
        for series, runs in self._runs.items():
            kept = runs[:1]
            for after, gap in zip(runs[1:], _gaps(series, runs), strict=True):
                if gap is None:
                    if after.last_ms >= final_ms:
                        kept.append(after)
                elif gap.since_ms >= final_ms:
                    kept.append(after)
                else:
                    if from_ms <= gap.after_ms:
                        lost.append(gap)
                    kept[-1].last, kept[-1].last_ms = after.last, after.last_ms
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
    found: list[Gap | None] = []
    for before, after in reversed(list(pairwise(runs))):
        newest_ms = max(newest_ms, after.last_ms)
        first_ms, last_ms = sorted((before.last_ms, after.first_ms))
        is_gap = before.last_ms <= newest_ms
        found.append(Gap(series, before.last + 1, after.first - 1, first_ms, last_ms) if is_gap else None)
    return found[::-1]


def _first(run: Run) -> int:
    return run.first
