"""The activity timeline of a stream: how many records it published recently, cell by cell."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

CellKind = Literal["outside", "final", "published", "partly", "waiting"]


class ActivityTimeline(Struct, frozen=True):
    """What a stream published recently, in cells of time, oldest first.

    Runs of equal neighbours are stored once, as `(number of cells, value)`.
    """

    start: datetime
    lengths_s: Sequence[tuple[int, int]]
    """Runs of cells of equal length; the value is the length in seconds."""
    counts: Sequence[int | None]
    """Ledger entries of each cell: records and each of their revisions. None where the ledger no longer knows them."""
    kinds: Sequence[tuple[int, CellKind]]
    """Runs of cells of one kind."""
