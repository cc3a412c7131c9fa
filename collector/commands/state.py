"""`collector state`: what is known to be published; looked at, accepted as empty, moved back."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import anyio
from msgspec import Struct

from collector.clock import SystemClock
from collector.commands.progress import Waiting, waiting
from collector.commands.streams import stream_of
from collector.config import Settings, load
from collector.errors import EpochEnded, Failed, NeedsOperator, UserError
from collector.instants import floor_second, format_seconds
from collector.kafka.claim import accept
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.epoch import epoch, partition_of
from collector.kafka.producer import Fenced
from collector.kafka.restore import snapshot
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe, ensure
from collector.model import Checkpoint
from collector.pipeline.batch import Batch
from collector.pipeline.state import Shape, State, Summary, by_stream, rewound, stream_prefix, summary
from collector.pipeline.state import load as load_state
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.vendors.base import Stream
from collector.vendors.http import http

T = TypeVar("T")

ATTEMPTS = 5
"""The running owner may fence a rewind before it commits; then that owner has begun anew, and is quiet for a while."""
AGAIN_S = 1.0


class Rewind(Struct, frozen=True):
    """What a rewind would do."""

    before: Checkpoint
    after: Checkpoint

    @property
    def again(self) -> str | None:
        """What is published a second time, because the ledger has forgotten it; None if nothing is."""
        if self.after.final >= self.before.final:
            return None
        return f"what starts from {format_seconds(self.after.final)} to {format_seconds(self.before.final)}"


def init(path: Path) -> str:
    """Accept that state is lost, and return what was done. Raises UserError, or Failed."""
    settings = load(path)
    return _with_kafka(_init, settings)


def show(path: Path) -> list[Summary]:
    """Every stream in the state topic. Raises UserError, or Failed."""
    return _with_kafka(_show, load(path))


def rewind(path: Path, source: str, name: str, to: datetime, agreed: Callable[[Rewind], bool]) -> Rewind | None:
    """Move a stream back, also while the group runs; None when nobody agreed.

    Raises UserError for a stream that there is not or an instant before its beginning, or Failed.
    """
    settings, to = load(path), floor_second(to)
    # Asked about before the partition is taken: whoever runs the stream goes on until the answer is there.
    if not agreed(_with_kafka(partial(_plan, source=source, name=name, to=to), settings)):
        return None
    return _with_kafka(partial(_rewind, source=source, name=name, to=to), settings)


def told(found: Summary, now: datetime) -> dict[str, str | int]:
    """What is known of a stream, for programs."""
    checkpoint = found.checkpoint
    return {
        "source": found.source,
        "stream": found.stream,
        "vendor": found.vendor,
        "since": format_seconds(checkpoint.since),
        "watermark": format_seconds(checkpoint.watermark),
        "lag_s": max(0, int((now - checkpoint.watermark).total_seconds())),
        "final": format_seconds(checkpoint.final),
        "ledger_entries": found.entries,
    }


def columns(found: Sequence[Summary], now: datetime) -> list[str]:
    """The same for people, and for pipes: nothing is cut off, however narrow it is."""
    checkpoint = ["SOURCE", "STREAM", "VENDOR", "SINCE", "WATERMARK", "BEHIND", "FINAL", "LEDGER ENTRIES"]
    rows = [checkpoint, *(list(map(_shown, told(each, now).items())) for each in found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows] if found else []


def _shown(field: tuple[str, str | int]) -> str:
    name, value = field
    return str(timedelta(seconds=int(value)) if name == "lag_s" else value)


def _with_kafka(do: Callable[[Settings, Waiting], Awaitable[T]], settings: Settings) -> T:
    """Run it, with what may be wrong with Kafka in words. Raises Failed."""

    async def run() -> T:
        try:
            with waiting("asking the brokers") as shown:
                return await do(settings, shown)
        except (NeedsOperator, Fenced) as error:
            raise Failed(f"{error}: {error.advice}" if isinstance(error, NeedsOperator) else str(error)) from error
        except UNAVAILABLE as error:
            cause = (await diagnose(settings.kafka)).cause
            raise Failed(f"{cause}: {cause.advice}") from error

    return anyio.run(run)


async def _snapshot(settings: Settings, shown: Waiting, *partitions: int) -> dict[bytes, bytes]:
    def progress(done: int, total: int) -> None:
        shown.say(f"reading the state: {done:,} of {total:,} records")
        shown.count(done, total)

    return await snapshot(settings.kafka, partitions, progress)


async def _init(settings: Settings, shown: Waiting) -> str:
    shown.say("looking at the topics")
    kafka = settings.kafka
    await ensure(kafka, settings.topics(), settings.compacted_topics())
    accepted = await accept(kafka)
    count = len(accepted.empty) + len(accepted.truncated)
    if not count:
        return f"{kafka.state_topic} has state already: nothing to do"
    lines = [f"accepted: the state in {count} partition{'s' if count > 1 else ''} of {kafka.state_topic} is lost"]
    for name, source in settings.sources.items():
        partition = partition_of(str(source.account), kafka.state_partitions)
        if partition in accepted.empty:
            lines.append(f"{name} begins at {format_seconds(source.since) if source.since else 'its first start'}")
        elif partition in accepted.truncated:
            lines.append(f"{name} goes on from what is left of its state, and publishes again what that lacks")
    return "\n".join(lines)


async def _show(settings: Settings, shown: Waiting) -> list[Summary]:
    kafka = settings.kafka
    async with admin(kafka) as client:
        if not await describe(client, kafka, [kafka.state_topic]):
            raise Failed(f"there is no topic {kafka.state_topic}: it is created when the collector first runs")
    pairs = by_stream(await _snapshot(settings, shown, *range(kafka.state_partitions)))
    found = (summary(prefix, of_stream) for prefix, of_stream in sorted(pairs.items()))
    return [each for each in found if each is not None]


async def _found(settings: Settings, source: str, name: str) -> tuple[Stream[Any], int]:
    """The stream, and its state partition."""
    async with http(SystemClock()) as client:
        stream = stream_of(settings, client, source, name)
    return stream, partition_of(str(stream.account), settings.kafka.state_partitions)


async def _plan(settings: Settings, shown: Waiting, *, source: str, name: str, to: datetime) -> Rewind:
    stream, partition = await _found(settings, source, name)
    return _planned(stream, _state(stream, await _snapshot(settings, shown, partition)), to)


async def _rewind(settings: Settings, shown: Waiting, *, source: str, name: str, to: datetime) -> Rewind:
    kafka = settings.kafka
    stream, partition = await _found(settings, source, name)
    shown.say("taking the partition over")
    for _ in range(ATTEMPTS):
        try:
            async with epoch(partition, kafka, _unreported(kafka), lambda: True) as holding:
                state = _state(stream, holding.pairs)
                planned = _planned(stream, state, to)
                await holding.commit((), state.pairs(Batch(checkpoint=planned.after)))
                return planned
        except (EpochEnded, Fenced):
            await anyio.sleep(AGAIN_S)
    raise Failed("the running collector took the partition back each time: try again, or stop it meanwhile")


def _planned(stream: Stream[Any], state: State, to: datetime) -> Rewind:
    what = f"{stream.source} {stream.name}"
    if state.checkpoint is None:
        raise UserError(f"{what} has no state yet: there is nothing to move back")
    if to < state.checkpoint.since:
        raise UserError(
            f"{what} began at {format_seconds(state.checkpoint.since)} and cannot be moved before that: for older data "
            "add a separate source with since and until"
        )
    if to > SystemClock().now():
        raise UserError(f"{format_seconds(to)} has not come yet: a stream is moved back, not on")
    # The running owner may be some polls ahead of what is durable: it begins anew from there, whatever is moved.
    return Rewind(state.checkpoint, rewound(state.checkpoint, to))


def _state(stream: Stream[Any], pairs: dict[bytes, bytes]) -> State:
    prefix = stream_prefix(stream.account, stream.source, stream.name)
    shape = Shape(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
    return load_state(prefix, shape, by_stream(pairs).get(prefix, {}))


def _unreported(kafka: KafkaSettings) -> KafkaTelemetry:
    return KafkaTelemetry(Metrics(), ProcessStatus("", kafka.group))
