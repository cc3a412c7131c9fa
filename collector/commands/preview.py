"""`collector preview`: prints the events that would be published, without Kafka."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
from msgspec import Struct, structs

from collector.alignment import Alignment
from collector.clock import SystemClock
from collector.cloudevents import Message
from collector.commands.progress import Progress, progress
from collector.commands.streams import select_stream
from collector.config import Settings, load
from collector.errors import Failed, Park, RetryLater, Split, UserError
from collector.instants import SECOND, floor_second, to_ms
from collector.model import Window, whole_name
from collector.pipeline.batch import Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import DEAD_LETTER, Origin
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.base import Stream
from collector.vendors.http import http


class PrintedEvents(Struct):
    """The number of events that were printed."""

    events: int = 0
    dead_letters: int = 0
    """The number of dead letters among them."""
    is_cut: bool = False
    """Whether the limit was reached: there may be more events."""


def preview(
    path: Path, source: str, stream: str, *, start: datetime | None, end: datetime | None, last: timedelta, limit: int
) -> PrintedEvents:
    """Fetch a window and print its events as JSON lines.

    The window is `[start, end)`. `end` defaults to now, and `start` to the time `last` before `end`. At most `limit`
    events are printed. Raises UserError when the configuration or an argument is wrong, and Failed when the vendor does
    not return the window.
    """
    settings = load(path)
    end = floor_second(end or SystemClock().now())
    try:
        start = floor_second(start or end - last)
    except OverflowError:
        raise UserError("--last: the window must not start before the year 1", code="invalid_window") from None
    if start >= end:
        raise UserError("--start must be before --end", code="invalid_window")
    with progress("waiting for the vendor") as progress_line:
        return anyio.run(_preview, settings, source, stream, Window(start, end), limit, progress_line)


async def _preview(
    settings: Settings, source: str, name: str, window: Window, limit: int, progress_line: Progress
) -> PrintedEvents:
    clock = SystemClock()
    async with http(clock) as client:
        stream = select_stream(settings, client, source, name, standalone_telemetry(source, progress_line.show))
        origin = settings.origin(stream.account, source, whole_name(stream.name))
        origin = structs.replace(origin, timezone=str(stream.zone))
        printed = PrintedEvents()
        try:
            aligned = align(window, stream.policy.alignment)
            await _fetch(stream, origin, aligned, printed, limit, clock.now(), progress_line)
        except (Park, RetryLater) as error:
            raise Failed(f"sources.{source}: {error}: {error.advice}", code=error.code) from error
        except Split as error:
            text = f"sources.{source}: {error}: select a shorter window"
            raise Failed(text, code="window_too_large") from error
        return printed


def align(window: Window, alignment: Alignment) -> Window:
    """The window of the completed periods in this window; if there is none, of the last one before its end."""
    end = alignment.floor(window.end)
    return Window(min(alignment.floor(window.start), alignment.floor(end - SECOND)), end)


async def _fetch(
    stream: Stream[Any],
    origin: Origin,
    window: Window,
    printed: PrintedEvents,
    limit: int,
    now: datetime,
    progress_line: Progress,
) -> None:
    ledger = Ledger(stream.dedup_mode)
    async for result in stream.fetch(window):
        deduplicator: Deduplicator[Any] = Deduplicator.without_limits(ledger, requested_s=to_ms(now) // 1000)
        deduplicator.add(result.records)
        context = Context(stream.dedup_mode, origin, window, now, window.start, is_live=False)
        with progress_line.paused():
            for batch in filter(None, batches(deduplicator, stream.explode, context)):
                for message in batch.messages[: limit - printed.events]:
                    _print(message, printed)
            sys.stdout.flush()
        if printed.events >= limit:
            printed.is_cut = True
            return


def _print(message: Message, printed: PrintedEvents) -> None:
    printed.events += 1
    printed.dead_letters += message.envelope.type[1] == DEAD_LETTER.name.encode()
    line = {
        "topic": message.topic,
        "key": message.key.decode(),
        "headers": {name: value.decode() for name, value in message.headers},
        "value": msgspec.Raw(message.value),
    }
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
