"""Derives the activity timeline of a stream from its ledger: records per cell of time, and how complete each cell is.

A cell is as long as a ledger page, ten minutes; there are 144 of them, up to now. For streams with longer periods, a
cell is a period, and there are at least a dozen. Only the lengths of pages are read, not their entries.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import groupby, pairwise
from typing import TypeVar

from msgspec import Struct

from collector.alignment import Alignment
from collector.instants import SECOND, UNIX_EPOCH, UNIX_EPOCH_LOCAL, unix_s
from collector.model import Checkpoint, Policy
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.state import State
from collector.timeline import ActivityTimeline, CellKind

T = TypeVar("T")

LAST = timedelta(hours=24)
MIN_PERIODS = 12
"""For periods of days or months, of which one alone would show nothing."""
STEP_PAGES = 18
"""No clock change exceeds three hours: pages this far beyond the edges may still belong to the timeline."""


class Cells(Struct, frozen=True):
    """Where the timeline is cut, in Unix seconds."""

    edges: Sequence[int]
    lengths_s: Sequence[tuple[int, int]]
    pages: range
    """The ledger pages that may lie in it, and a few more."""
    repeated: frozenset[int]
    """The cells of an hour that occurs twice when clocks are set back. Its records are stored under the first pass."""


def activity_timeline(
    state: State, policy: Policy, zone: tzinfo, requested_until: datetime | None, now: datetime
) -> ActivityTimeline | None:
    """The timeline of a stream; None before its first checkpoint.

    `requested_until` is the end of the newest window that was fetched, if known. `zone` is the zone of the clock that
    assigns the stream's records to ledger pages.
    """
    checkpoint = state.checkpoint
    if checkpoint is None:
        return None
    cells = _cells(policy.alignment, zone, _current(policy.alignment, zone, now))
    edges, last = cells.edges, len(cells.edges) - 1
    counts: list[int | None] = [0] * last
    for number, page in state.ledger.pages().items():
        if number in cells.pages:
            nth = bisect_right(edges, _start_s(number, zone)) - 1
            if 0 <= nth < last:
                counts[nth] = (counts[nth] or 0) + len(page)
    known_from = _start_s(-(-state.final_s // PAGE_S), zone)
    for nth in range(last):
        if counts[nth] == 0 and (edges[nth] < known_from or nth in cells.repeated):
            counts[nth] = None
    return ActivityTimeline(
        _instant(edges[0]), cells.lengths_s, counts, _runs(_kinds(edges, checkpoint, policy.until, requested_until))
    )


def _kinds(
    edges: Sequence[int], checkpoint: Checkpoint, until: datetime | None, requested_until: datetime | None
) -> Iterator[CellKind]:
    since, final, watermark = unix_s(checkpoint.since), unix_s(checkpoint.final), unix_s(checkpoint.watermark)
    requested_s = watermark if requested_until is None else max(watermark, unix_s(requested_until))
    for start, end in pairwise(edges):
        if end <= since or (until is not None and start >= unix_s(until)):
            yield "outside"
        elif end <= final:
            yield "final"
        elif end <= watermark:
            yield "published"
        else:
            yield "partly" if start < requested_s else "waiting"


def _current(alignment: Alignment, zone: tzinfo, now: datetime) -> int:
    """The start of the cell that contains now, in Unix seconds."""
    if _is_of_periods(alignment, now):
        return unix_s(alignment.floor(now))
    return unix_s(now) - (unix_s(now) + _offset_s(now.astimezone(zone))) % PAGE_S


def _is_of_periods(alignment: Alignment, now: datetime) -> bool:
    start = alignment.floor(now)
    return alignment.min_end(start) - start > timedelta(seconds=PAGE_S)


@lru_cache(maxsize=256)
def _cells(alignment: Alignment, zone: tzinfo, current: int) -> Cells:
    """The cells up to the current one. Equal for all streams of one alignment until the next cell starts."""
    start = _instant(current)
    repeated: Iterable[int] = ()
    if _is_of_periods(alignment, start):
        edges = [current, unix_s(alignment.after(start))]
        while edges[0] > edges[-1] - LAST // SECOND or len(edges) <= MIN_PERIODS:
            edges.insert(0, unix_s(alignment.floor(_instant(edges[0]) - SECOND)))
    else:
        cells = LAST // timedelta(seconds=PAGE_S)
        edges = [current + PAGE_S * (nth + 1 - cells) for nth in range(cells + 1)]
        repeated = (nth for nth, edge in enumerate(edges) if _instant(edge).astimezone(zone).fold)
    first, last = ((edge + _offset_s(_instant(edge).astimezone(zone))) // PAGE_S for edge in (edges[0], edges[-1]))
    lengths_s = _runs(after - before for before, after in pairwise(edges))
    return Cells(edges, lengths_s, range(first - STEP_PAGES, last + STEP_PAGES), frozenset(repeated))


@lru_cache(maxsize=16_384)
def _start_s(page: int, zone: tzinfo) -> int:
    """When the clock of a zone first showed the start of a page, in Unix seconds."""
    shown = UNIX_EPOCH_LOCAL + timedelta(seconds=page * PAGE_S)
    return page * PAGE_S - _offset_s(shown.replace(tzinfo=zone))


def _offset_s(local: datetime) -> int:
    return (local.utcoffset() or timedelta(0)) // SECOND


def _instant(unix: int) -> datetime:
    return UNIX_EPOCH + timedelta(seconds=unix)


def _runs(values: Iterable[T]) -> list[tuple[int, T]]:
    return [(sum(1 for _ in run), value) for value, run in groupby(values)]
