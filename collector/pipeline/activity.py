"""What the ledger knows of the last while, for people to look at: how many records there are, and how sure that is.

Cells are as long as the ledger's pages, ten minutes: 144 of them, up to now. Where a stream's periods are longer, cells
are periods, a dozen at least. Of the pages nothing is read but their lengths.
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
"""Of days or months: one alone says nothing."""
STEP_PAGES = 18
"""No clock is set by more than three hours at once."""


class Cells(Struct, frozen=True):
    """Where a strip is cut, in seconds since 1970."""

    edges: Sequence[int]
    lengths_s: Sequence[tuple[int, int]]
    pages: range
    """Those that may lie in it, and some more."""
    again: frozenset[int]
    """The cells of an hour that a clock shows again when it is set back: all of it is filed under the first pass."""


def activity_timeline(
    state: State, policy: Policy, zone: tzinfo, requested_until: datetime | None, now: datetime
) -> ActivityTimeline | None:
    """The strip of a stream; None while it has not begun. `asked` is up to where it was asked for, as far as is known.

    `zone` is that of the clock by which the stream's records are filed.
    """
    checkpoint = state.checkpoint
    if checkpoint is None:
        return None
    cells = _cells(policy.alignment, zone, _current(policy.alignment, zone, now))
    edges, last = cells.edges, len(cells.edges) - 1
    counts: list[int | None] = [0] * last
    for number, page in state.ledger.pages().items():
        if number in cells.pages:
            nth = bisect_right(edges, _begin_s(number, zone)) - 1
            if 0 <= nth < last:
                counts[nth] = (counts[nth] or 0) + len(page)
    known_from = _begin_s(-(-state.final_s // PAGE_S), zone)
    for nth in range(last):
        if counts[nth] == 0 and (edges[nth] < known_from or nth in cells.again):
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
    """When the cell began in which now lies."""
    if _is_of_periods(alignment, now):
        return unix_s(alignment.floor(now))
    return unix_s(now) - (unix_s(now) + _offset_s(now.astimezone(zone))) % PAGE_S


def _is_of_periods(alignment: Alignment, now: datetime) -> bool:
    start = alignment.floor(now)
    return alignment.min_end(start) - start > timedelta(seconds=PAGE_S)


@lru_cache(maxsize=256)
def _cells(alignment: Alignment, zone: tzinfo, current: int) -> Cells:
    """Those up to the one that began then; the same for all streams, until the next begins."""
    begin = _instant(current)
    again: Iterable[int] = ()
    if _is_of_periods(alignment, begin):
        edges = [current, unix_s(alignment.after(begin))]
        while edges[0] > edges[-1] - LAST // SECOND or len(edges) <= MIN_PERIODS:
            edges.insert(0, unix_s(alignment.floor(_instant(edges[0]) - SECOND)))
    else:
        cells = LAST // timedelta(seconds=PAGE_S)
        edges = [current + PAGE_S * (nth + 1 - cells) for nth in range(cells + 1)]
        again = (nth for nth, edge in enumerate(edges) if _instant(edge).astimezone(zone).fold)
    first, last = ((edge + _offset_s(_instant(edge).astimezone(zone))) // PAGE_S for edge in (edges[0], edges[-1]))
    lengths_s = _runs(after - before for before, after in pairwise(edges))
    return Cells(edges, lengths_s, range(first - STEP_PAGES, last + STEP_PAGES), frozenset(again))


@lru_cache(maxsize=16_384)
def _begin_s(page: int, zone: tzinfo) -> int:
    """When the clock of a zone showed the begin of a page; for the first time, where it did so twice."""
    shown = UNIX_EPOCH_LOCAL + timedelta(seconds=page * PAGE_S)
    return page * PAGE_S - _offset_s(shown.replace(tzinfo=zone))


def _offset_s(local: datetime) -> int:
    return (local.utcoffset() or timedelta(0)) // SECOND


def _instant(unix: int) -> datetime:
    return UNIX_EPOCH + timedelta(seconds=unix)


def _runs(values: Iterable[T]) -> list[tuple[int, T]]:
    return [(sum(1 for _ in run), value) for value, run in groupby(values)]
