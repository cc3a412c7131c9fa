"""`collector preview`: the events that would be published, without Kafka."""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import msgspec
from msgspec import Struct

from collector.alignment import Alignment
from collector.clock import SystemClock
from collector.cloudevents import Message
from collector.commands.progress import Waiting, waiting
from collector.commands.streams import stream_of
from collector.config import Settings, load
from collector.errors import Failed, Park, RetryLater, Split, UserError
from collector.instants import SECOND, floor_second, to_ms
from collector.model import Window
from collector.pipeline.batch import Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import DEAD_LETTER, Origin
from collector.secrets import redact
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors.base import Stream
from collector.vendors.http import http


class Shown(Struct):
    """What was printed."""

    events: int = 0
    rejected: int = 0


def preview(
    path: Path, source: str, stream: str, *, start: datetime | None, end: datetime | None, last: timedelta, limit: int
) -> Shown:
    """Print the events of a window as JSON lines. Raises UserError, or Failed."""
    settings = load(path)
    end = floor_second(end or SystemClock().now())
    try:
        start = floor_second(start or end - last)
    except OverflowError:
        raise UserError("--last reaches back beyond the year 1") from None
    if start >= end:
        raise UserError("--start must be before --end")
    with waiting("asking") as wait:
        return anyio.run(_preview, settings, source, stream, Window(start, end), limit, wait)


async def _preview(settings: Settings, source: str, name: str, window: Window, limit: int, wait: Waiting) -> Shown:
    clock = SystemClock()
    async with http(clock) as client:
        stream = stream_of(settings, client, source, name, standalone_telemetry(wait.say))
        shown = Shown()
        try:
            await _show(stream, aligned(window, stream.policy.alignment), shown, limit, clock.now(), wait)
        except (Park, RetryLater) as error:
            raise Failed(f"sources.{source}: {error}: {error.advice}") from error
        except Split as error:
            raise Failed(f"sources.{source}: {error}: ask for a shorter window") from error
        return shown


def aligned(window: Window, alignment: Alignment) -> Window:
    """The window in whole periods, as far as they are over; at least one."""
    end = alignment.floor(window.end)
    return Window(min(alignment.floor(window.start), alignment.floor(end - SECOND)), end)


async def _show(stream: Stream[Any], window: Window, shown: Shown, limit: int, now: datetime, wait: Waiting) -> None:
    origin = Origin(stream.account.vendor, stream.source, stream.name, redact)
    ledger = Ledger(stream.dedup_mode)
    async for result in stream.fetch(window):
        deduplicator: Deduplicator[Any] = Deduplicator(
            ledger, since_ms=-(1 << 62), until_ms=None, final_s=-(1 << 62), requested_s=to_ms(now) // 1000
        )
        deduplicator.add(result.records)
        context = Context(stream.dedup_mode, origin, window, now, window.start, live=False)
        with wait.aside():
            for batch in batches(deduplicator, stream.explode, context):
                for message in batch.messages[: limit - shown.events]:
                    _print(message, shown)
            sys.stdout.flush()
        if shown.events >= limit:
            return


def _print(message: Message, shown: Shown) -> None:
    shown.events += 1
    shown.rejected += message.topic == DEAD_LETTER.topic
    line = {
        "topic": message.topic,
        "key": message.key.decode(),
        "headers": {name: value.decode() for name, value in message.headers},
        "value": msgspec.Raw(message.value),
    }
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
