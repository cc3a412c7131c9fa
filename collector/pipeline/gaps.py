"""Which of the things that a vendor numbers one by one were never seen.

Per series (a device) the numbers that were seen lie in runs. What lies between two runs is missing, since the thing
after it began: it is closed when the late ones come, and lost when `final` passes that instant. Kept in memory alone:
after a start, the first sweep fills it again.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from msgspec import Struct

from collector.model import Gap

MAX_RUNS = 1000
"""Of one series: beyond it, the oldest gaps are forgotten."""


class Run(Struct):
    """Numbers that were seen without one missing, and when the first and the last of them began."""

    first: int
    last: int
    first_ms: int
    last_ms: int


class Gaps:
    """Of one stream."""

    def __init__(self) -> None:
        self._runs: dict[int, list[Run]] = {}

    def see(self, series: int, number: int, begin_ms: int) -> None:
        runs = self._runs.setdefault(series, [])
        if runs and runs[-1].last + 1 == number:  # nearly always
            runs[-1].last, runs[-1].last_ms = number, begin_ms
            return
        nth = bisect_right(runs, number, key=_first)
        before = runs[nth - 1] if nth else None
        after = runs[nth] if nth < len(runs) else None
        if before is not None and number <= before.last:
            return
        if before is not None and before.last + 1 == number:
            before.last, before.last_ms = number, begin_ms
            if after is not None and number + 1 == after.first:
                before.last, before.last_ms = after.last, after.last_ms
                del runs[nth]
        elif after is not None and number + 1 == after.first:
            after.first, after.first_ms = number, begin_ms
        else:
            runs.insert(nth, Run(number, number, begin_ms, begin_ms))
            del runs[:-MAX_RUNS]

    def open(self, from_ms: int, before_ms: int) -> int:
        """How many are missing that began after one instant, and of which the next one began before another."""
        return sum(gap.count for gap in self if from_ms <= gap.after_ms and gap.since_ms < before_ms)

    def lost(self, from_ms: int, final_ms: int) -> list[Gap]:
        """The gaps, begun after an instant, that nothing is expected in any more; they are forgotten with it."""
        lost = [gap for gap in self if from_ms <= gap.after_ms and gap.since_ms < final_ms]
        for runs in self._runs.values():
            passed = [run for run in runs if run.first_ms < final_ms]
            if len(passed) > 1:
                latest = max(passed, key=_last_ms)
                runs[:] = [run for run in runs if run is latest or run.first_ms >= final_ms]
        return lost

    def __iter__(self) -> Iterator[Gap]:
        for series, runs in self._runs.items():
            for before, after in pairwise(runs):
                if before.last_ms <= after.first_ms:  # else the device began to count anew
                    yield Gap(series, before.last + 1, after.first - 1, before.last_ms, after.first_ms)


def _first(run: Run) -> int:
    return run.first


def _last_ms(run: Run) -> int:
    return run.last_ms
