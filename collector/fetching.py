"""Fetches a window completely: detects responses that the vendor has silently cut off at a maximum number of rows.

No vendor documents such a cap. A response whose number of rows is suspiciously round is therefore fetched again in
halves, and the halves are used when they contain more.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

from collector.errors import Split
from collector.instants import SECOND, floor_second
from collector.model import FetchResult, Reject, Window
from collector.telemetry.stream import StreamTelemetry
from collector.turns import Turn
from collector.vendors.base import Stream, max_rows
from collector.vendors.raw_rows import MAX_ROWS, check_rows

P = TypeVar("P")


async def fetch_whole(
    stream: Stream[P], request: Window, telemetry: StreamTelemetry
) -> AsyncGenerator[FetchResult[P], None]:
    """The results of a window, or of parts of it where the response to the whole window was capped.

    Where the stream's alignment is exact, the number of rows follows from the periods in the window, so a round number
    does not suggest a cap.

    Raises what `stream.fetch` raises, and Split for a response that has too many rows, or that looks capped while the
    window can still be halved by the caller.
    """
    alignment = stream.policy.alignment
    margin = timedelta(0) if alignment.is_exact else SECOND
    can_be_halved = request.end > alignment.min_end(request.start + margin)
    suspects, distinct = 0, set[int]()
    async with aclosing(stream.fetch(request)) as results:
        async for result in results:
            check_rows(result.rows, max_rows(alignment, request))
            if result.cut:
                telemetry.rows_cut(request, result.cut)
            if alignment.is_exact or not looks_capped(result.rows):
                yield result
            elif can_be_halved:
                raise Split(f"exactly {result.rows} rows, which looks like a cap", code="capped")
            else:
                suspects = result.rows
                await _add_keys(result, distinct)
    if not suspects:
        return
    # Rows are only counted until it is known which requests return all of them: they would take too much memory.
    parts, distinct_in_parts = await _parts(stream, request)
    if len(distinct_in_parts) <= len(distinct):
        telemetry.cap_suspected(request, suspects)
        parts = [request]
    for part in parts:
        async with aclosing(stream.fetch(part)) as results:
            async for result in results:
                yield result


async def _parts(stream: Stream[P], request: Window) -> tuple[Sequence[Window], set[int]]:
    """The parts of a window, overlapping by a second, of which no response looks capped; and the hashes of their keys.

    A part of three seconds may look capped, since it cannot be halved. Raises Split if there are too many rows.
    """
    if request.length <= 3 * SECOND:  # with one second of overlap, a half would not be shorter
        return [request], set()
    parts: list[Window] = []
    distinct = set[int]()
    middle = floor_second(request.start + request.length / 2)
    for half in (Window(request.start, middle), Window(middle - SECOND, request.end)):
        is_suspect, in_half = False, set[int]()
        async with aclosing(stream.fetch(half)) as results:
            async for result in results:
                check_rows(result.rows, MAX_ROWS)
                is_suspect |= looks_capped(result.rows)
                await _add_keys(result, in_half)
        parts_of_half, in_parts = await _parts(stream, half) if is_suspect else ([half], set())
        parts += parts_of_half if len(in_parts) > len(in_half) else [half]
        distinct |= in_half | in_parts
        check_rows(len(distinct), MAX_ROWS)
    return parts, distinct


async def _add_keys(result: FetchResult[Any], hashes: set[int]) -> None:
    """Add a hash of each row's key: equal rows count once."""
    turn = Turn()
    for row in result.records:
        if turn.is_over():
            await turn.end()
        if row is not None:
            hashes.add(hash(row.payload if isinstance(row, Reject) else row.key))


def looks_capped(rows: int) -> bool:
    """Whether a number of rows is so round that the vendor may have cut the response: 1000, 2000, 5000, 10000, ..."""
    return rows >= 1000 and str(rows).rstrip("0") in ("1", "2", "5")  # noqa: PLR2004 - smaller ones occur by chance
