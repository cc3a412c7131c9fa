"""Fetches a window completely: detects responses that the vendor has silently cut off at a maximum number of rows.

No vendor documents such a cap. A response whose number of rows is suspiciously round is therefore fetched again in
halves, and the halves are used when they contain more.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Any, TypeVar

from msgspec import structs

from collector.errors import Split
from collector.instants import SECOND, floor_second
from collector.model import FetchResult, Record, Reject, Window
from collector.telemetry.stream import StreamTelemetry
from collector.turns import Turn
from collector.vendors.base import Stream, max_rows
from collector.vendors.raw_rows import MAX_ROWS, check_rows

P = TypeVar("P")


async def fetch_whole(
    stream: Stream[P], request: Window, telemetry: StreamTelemetry
) -> AsyncGenerator[FetchResult[P], None]:
    """The results of a window, or of its halves where the response to the whole window was capped.

    Where the stream's alignment is exact, the number of rows follows from the periods in the window, so a round number
    does not suggest a cap.

    Raises what `stream.fetch` raises, and Split for a response that is too large or looks capped while the window can
    still be halved by the caller.
    """
    alignment = stream.policy.alignment
    margin = timedelta(0) if alignment.is_exact else SECOND
    can_be_halved = request.end > alignment.min_end(request.start + margin)
    suspects: list[FetchResult[P]] = []
    async with aclosing(stream.fetch(request)) as results:
        async for result in results:
            check_rows(result.rows, max_rows(alignment, request))
            if alignment.is_exact or not looks_capped(result.rows):
                yield result
            elif can_be_halved:
                raise Split(f"exactly {result.rows} rows, which looks like a cap", code="capped")
            else:
                suspects.append(await _materialized(result))
    for result in suspects:  # only after the loop: by then no other response of this stream occupies memory
        halves: list[FetchResult[P]] = []
        async for half in _halves(stream, request, telemetry):
            halves.append(half)
            check_rows(sum(each.rows for each in halves), MAX_ROWS)
        if await _distinct_rows(halves) > await _distinct_rows([result]):
            for half in halves:
                yield half
        else:
            telemetry.cap_suspected(request, result.rows)
            yield result


async def _halves(
    stream: Stream[P], request: Window, telemetry: StreamTelemetry
) -> AsyncGenerator[FetchResult[P], None]:
    """The results of both halves of a window, which overlap by a second; none if the window is too short to halve."""
    if request.length <= 3 * SECOND:  # with one second of overlap, a half would not be shorter
        return
    middle = floor_second(request.start + request.length / 2)
    for half in (Window(request.start, middle), Window(middle - SECOND, request.end)):
        async with aclosing(fetch_whole(stream, half, telemetry)) as results:
            async for result in results:
                yield await _materialized(result)


def looks_capped(rows: int) -> bool:
    """Whether a number of rows is so round that the vendor may have cut the response: 1000, 2000, 5000, 10000, ..."""
    return rows >= 1000 and str(rows).rstrip("0") in ("1", "2", "5")  # noqa: PLR2004 - smaller ones occur by chance


async def _materialized(result: FetchResult[P]) -> FetchResult[P]:
    """The result with all its rows decoded, so that they can be iterated more than once."""
    turn, rows = Turn(), list[Record[P] | Reject]()
    for row in result.records:
        await turn.step()
        if row is not None:
            rows.append(row)
    return structs.replace(result, records=rows)


async def _distinct_rows(results: Sequence[FetchResult[Any]]) -> int:
    turn, distinct = Turn(), set[bytes]()
    for result in results:
        for row in result.records:
            await turn.step()
            if row is not None:
                distinct.add(row.payload if isinstance(row, Reject) else row.key)
    return len(distinct)
