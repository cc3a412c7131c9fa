"""Derives the activity timeline of a stream from its ledger: records per cell of time, and how complete each cell is.

A cell is as long as a ledger page, ten minutes, and 144 cells cover the last 24 hours. For streams with longer periods,
a cell is a period, and there are at least twelve cells. Only the number of entries of a page is read, not the entries.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from itertools import chain, groupby, pairwise
from typing import TypeVar

from msgspec import Struct

from collector.alignment import Alignment
from collector.instants import SECOND, UNIX_EPOCH, UNIX_EPOCH_LOCAL, unix_s
from collector.model import Checkpoint, Policy
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.state import State
from collector.timeline import ActivityTimeline, CellKind

T = TypeVar("T")

TIMELINE_LENGTH = timedelta(hours=24)
MIN_PERIODS = 12
"""The fewest cells where a cell is a period: of days or months, 24 hours would be a single cell."""
MARGIN_PAGES = 18
"""No clock change exceeds three hours: pages this far beyond the edges may still belong to the timeline."""


class Cells(Struct, frozen=True):
    """The cells of a timeline."""

    edges: Sequence[int]
    """The start of each cell, and the end of the last one, in Unix seconds."""
    lengths_s: Sequence[tuple[int, int]]
    """Runs of cells of equal length, as in `ActivityTimeline`."""
    pages: range
    """The numbers of the ledger pages that may belong to the timeline, and a few more."""
    repeated: frozenset[int]
    """The indexes of the cells in the second occurrence of an hour, when clocks are set back. The records of both
    occurrences are on the pages of the first one."""


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
    cells = _cells(policy.alignment, zone, _current_cell(policy.alignment, zone, now))
    edges, count = cells.edges, len(cells.edges) - 1
    counts: list[int | None] = [0] * count
    for number, page in chain.from_iterable(each.pages().items() for each in (state.ledger, *state.inherited)):
        if number in cells.pages:
            nth = bisect_right(edges, _start_s(number, zone)) - 1
            if 0 <= nth < count:
                counts[nth] = (counts[nth] or 0) + len(page)
    known_from = _start_s(-(-state.final_s // PAGE_S), zone)
    for nth in range(count):
        if counts[nth] == 0 and (edges[nth] < known_from or nth in cells.repeated):
            counts[nth] = None
    return ActivityTimeline(
        _instant(edges[0]), cells.lengths_s, counts, _runs(_kinds(edges, checkpoint, policy.until, requested_until))
    )


def _kinds(
    edges: Sequence[int], checkpoint: Checkpoint, until: datetime | None, requested_until: datetime | None
) -> Iterator[CellKind]:
    """The kind of each cell: how complete its records are."""
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


def _current_cell(alignment: Alignment, zone: tzinfo, now: datetime) -> int:
    """The start of the cell that contains now, in Unix seconds."""
    if _has_long_periods(alignment, now):
        return unix_s(alignment.floor(now))
    return unix_s(now) - (unix_s(now) + _offset_s(now.astimezone(zone))) % PAGE_S


def _has_long_periods(alignment: Alignment, now: datetime) -> bool:
    """Whether the period that contains now is longer than a ledger page, so that a cell is a period."""
    start = alignment.floor(now)
    return alignment.after(start) - start > timedelta(seconds=PAGE_S)


@lru_cache(maxsize=256)
def _cells(alignment: Alignment, zone: tzinfo, current: int) -> Cells:
    """The cells up to the one that starts at `current` (Unix seconds). All streams of one alignment share them."""
    start = _instant(current)
    repeated: Iterable[int] = ()
    if _has_long_periods(alignment, start):
        edges = [current, unix_s(alignment.after(start))]
        while edges[0] > edges[-1] - TIMELINE_LENGTH // SECOND or len(edges) <= MIN_PERIODS:
            edges.insert(0, unix_s(alignment.floor(_instant(edges[0]) - SECOND)))
    else:
        cells = TIMELINE_LENGTH // timedelta(seconds=PAGE_S)
        edges = [current + PAGE_S * (nth + 1 - cells) for nth in range(cells + 1)]
        repeated = (nth for nth, edge in enumerate(edges) if _instant(edge).astimezone(zone).fold)
    first, last = ((edge + _offset_s(_instant(edge).astimezone(zone))) // PAGE_S for edge in (edges[0], edges[-1]))
    lengths_s = _runs(after - before for before, after in pairwise(edges))
    return Cells(edges, lengths_s, range(first - MARGIN_PAGES, last + MARGIN_PAGES), frozenset(repeated))


@lru_cache(maxsize=16_384)
def _start_s(page: int, zone: tzinfo) -> int:
    """The first time at which a clock in the zone shows the start of a page, in Unix seconds."""
    local = UNIX_EPOCH_LOCAL + timedelta(seconds=page * PAGE_S)
    return page * PAGE_S - _offset_s(local.replace(tzinfo=zone))


def _offset_s(local: datetime) -> int:
    return (local.utcoffset() or timedelta(0)) // SECOND


def _instant(unix: int) -> datetime:
    return UNIX_EPOCH + timedelta(seconds=unix)


def _runs(values: Iterable[T]) -> list[tuple[int, T]]:
    """Runs of equal values, as pairs of length and value."""
    return [(sum(1 for _ in run), value) for value, run in groupby(values)]
