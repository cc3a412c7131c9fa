"""`collector state`: shows the state topic, accepts lost state, and rewinds streams."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from collector.clock import SystemClock
from collector.commands.ending import print_error, read_line
from collector.commands.progress import Progress
from collector.commands.repair import Readable, readable, replacement
from collector.commands.state_topic import Changes, Pairs, change_state, read_state, require_state_topic, with_kafka
from collector.commands.streams import select_stream
from collector.commands.summaries import summaries
from collector.config import Settings, load
from collector.errors import UserError
from collector.instants import floor_second, format_seconds
from collector.kafka.claim import accept
from collector.kafka.epoch import partition_of
from collector.kafka.owners import known_owners
from collector.kafka.topics import admin, prepare_topics
from collector.model import Checkpoint, DedupMode
from collector.pipeline.batch import Batch
from collector.pipeline.state import Summary, rewound
from collector.plurals import counted
from collector.telemetry.status import paused_as_json
from collector.vendors.base import Stream
from collector.vendors.http import http

Field = str | int | Mapping[str, str | None] | None
"""A field of a summary in JSON."""
MAX_SHOWN = 10
"""The most keys of damaged records that are shown."""


class Rewind(Struct, frozen=True):
    """The checkpoint before and after a rewind."""

    before: Checkpoint | None
    """None if it is damaged."""
    after: Checkpoint
    damaged: tuple[str, ...] = ()
    """The keys of the damaged records that are removed."""
    is_snapshot: bool = False
    """Whether it is a LATEST stream, whose ledger forgets nothing."""

    @property
    def changes_nothing(self) -> bool:
        """Whether the stream is not after the instant, and nothing is damaged."""
        return not self.damaged and self.after == self.before

    def question(self, name: str) -> str:
        """What the user is asked, given source and stream."""
        to = format_seconds(self.after.watermark)
        if self.before is None:
            return f"Let {name} continue from {to}?"
        if self.after.watermark == self.before.watermark:
            return f"Repair {name}, which stays at {to}?"
        return f"Move {name} back from {format_seconds(self.before.watermark)} to {to}?"

    @property
    def warnings(self) -> Sequence[str]:
        """What the user confirms: which records are published again, and which records of the state are removed."""
        start, found = format_seconds(self.after.final), []
        if self.damaged:
            number, more = len(self.damaged), len(self.damaged) - MAX_SHOWN
            shown = ", ".join(self.damaged[:MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
            what = "one damaged record" if number == 1 else f"{number} damaged records"
            found.append(
                f"This removes {what} from the state: {shown}. What the ledger then lacks is published again, with "
                f"equal ids, if it starts after {start}."
            )
        if self.before is None:
            found.append(f"The checkpoint is lost: records from {start} on that the ledger lacks are published again.")
        elif self.is_snapshot:
            found.append("The stream has no history: it only requests the present state, and publishes what changed.")
        elif self.after.final < self.before.final:
            period = f"from {start} to {format_seconds(self.before.final)}"
            found.append(
                f"The ledger no longer contains records that start {period}: they are published again, with equal ids."
            )
        return found


def init(path: Path) -> str:
    """Accept that state is lost; return a text that describes what was accepted.

    Raises UserError when the configuration is wrong, and Failed when Kafka cannot be used.
    """
    settings = load(path)
    return with_kafka(_init, settings)


def show(path: Path) -> list[Summary]:
    """Return a summary of every stream in the state topic, and of every source and stream that is paused.

    Raises UserError when the configuration is wrong, and Failed when Kafka cannot be used or has no state topic.
    """
    return with_kafka(_show, load(path))


def rewind(path: Path, source: str, name: str, to: datetime, confirm: Callable[[Rewind], bool]) -> Rewind | None:
    """Move a stream back, also while replicas run, and remove damaged records from its state.

    Returns None, and changes nothing, if `confirm` returns False. It is not called if there is nothing to change.

    Raises UserError for an unknown stream, one without state, or an instant before its start or in the future; Failed
    when Kafka cannot be used or the running collector fenced every attempt.
    """
    settings, to = load(path), floor_second(to)
    # The user confirms before the partition is taken over, so that the stream runs while the question is open.
    planned = with_kafka(partial(_plan, source=source, name=name, to=to), settings)
    if planned.changes_nothing:
        return planned
    if not confirm(planned):
        return None
    return with_kafka(partial(_rewind, source=source, name=name, to=to), settings)


def confirmed(question: str) -> bool:
    """Whether the user answers yes. Any other answer is no, and so is the end of stdin."""
    print_error(f"{question} (y/N) ", end="")
    if not (line := read_line()):
        print_error("stdin is not interactive: pass --yes to confirm")
    return line.strip().lower() in ("y", "yes")


def as_dict(of_stream: Summary, now: datetime) -> dict[str, Field]:
    """The fields of a stream's summary, for `--json`. `stream` is None for a source without streams in the state."""
    checkpoint = of_stream.checkpoint
    names = {
        "source": of_stream.source,
        "stream": of_stream.stream,
        "vendor": of_stream.vendor,
        "account": of_stream.user,
    }
    operated = {
        "backfill": _backfill(of_stream),
        "owner": of_stream.owner,
        "paused": paused_as_json(of_stream.paused),
    }
    if checkpoint is None:
        unread = dict.fromkeys(("since", "watermark", "lag_s", "final", "ledger_entries"))
        problem = None if of_stream.problem is None else str(of_stream.problem)
        return {**names, **unread, **operated, "problem": problem}
    if of_stream.backfill is not None:  # its own goes on to the present, as that of the stream does
        checkpoint = rewound(checkpoint, of_stream.backfill.end)
    return {
        **names,
        "since": format_seconds(checkpoint.since),
        "watermark": format_seconds(checkpoint.watermark),
        "lag_s": max(0, int((now - checkpoint.watermark).total_seconds())) if of_stream.backfill is None else None,
        "final": format_seconds(checkpoint.final),
        "ledger_entries": of_stream.entries,
        **operated,
        "problem": None,
    }


def _backfill(of_stream: Summary) -> dict[str, str | None] | None:
    if (backfill := of_stream.backfill) is None:
        return None
    begun = "requested" if of_stream.checkpoint is None else "active"
    status = "cancelled" if backfill.is_cancelled else begun
    times = {"from": format_seconds(backfill.start), "to": format_seconds(backfill.end)}
    return {**times, "by": backfill.by, "status": status}


def columns(summaries: Sequence[Summary], now: datetime) -> list[str]:
    """The lines of a table of the summaries, for people; none without summaries. Long values are not cut off.

    A stream whose state cannot be read has dashes instead of values (see `problems`), and so has one that is paused and
    has no state.
    """
    times = ("SINCE", "WATERMARK", "BEHIND", "FINAL")
    header = ["SOURCE", "STREAM", "VENDOR", "ACCOUNT", *times, "LEDGER ENTRIES", "BACKFILL", "OWNER", "PAUSED"]
    rows = [header, *(list(map(_cell, as_dict(each, now).items()))[: len(header)] for each in summaries)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows] if summaries else []


def problems(summaries: Sequence[Summary]) -> list[str]:
    """What is wrong with each stream whose state cannot be read, and what to do."""
    return [f"{each.problem}: {each.problem.advice}" for each in summaries if each.problem is not None]


def _cell(field: tuple[str, Field]) -> str:
    match field:
        case _, None:
            return "-"
        case "lag_s", int(seconds):
            return str(timedelta(seconds=seconds))
        case "backfill", {"status": status}:
            return str(status)
        case "paused", {"until": until, "reason": reason}:
            return f"until {until or 'it is resumed'}: {reason}"
    return str(field[1])


async def _init(settings: Settings, progress_line: Progress) -> str:
    progress_line.show("checking the topics")
    kafka = settings.kafka
    # Headers are written into the state topic alone: a tenant whose topic is missing does not keep others from them.
    await prepare_topics(kafka, settings.topics(), settings.compacted_topics(), needed=())
    accepted = await accept(kafka)
    count = len(accepted.empty) + len(accepted.truncated)
    if not count:
        return f"nothing to do: no partition of {kafka.state_topic} has lost its state"
    lines = [f"accepted that the state in {counted(count, 'partition')} of {kafka.state_topic} is lost"]
    for name, source in settings.sources.items():
        partition = partition_of(str(source.account), kafka.state_partitions)
        if partition in accepted.empty:
            start = format_seconds(source.since) if source.since else "the time of its first start"
            lines.append(f"{name} starts at {start}")
        elif partition in accepted.truncated:
            lines.append(f"{name} continues from the rest of its state, and publishes records that it lacks again")
    return "\n".join(lines)


async def _show(settings: Settings, progress_line: Progress) -> list[Summary]:
    kafka = settings.kafka
    await require_state_topic(kafka)
    async with admin(kafka) as client:
        owners = await known_owners(client, kafka)
    pairs = await read_state(kafka, progress_line, range(kafka.state_partitions))
    return [
        structs.replace(each, owner=owners.get(partition_of(str(each.account), kafka.state_partitions)))
        for each in summaries(pairs, SystemClock().now())
    ]


async def _locate(settings: Settings, source: str, name: str) -> tuple[Stream[Any], int]:
    """The stream and its state partition."""
    async with http(SystemClock()) as client:
        stream = select_stream(settings, client, source, name)
    return stream, partition_of(str(stream.account), settings.kafka.state_partitions)


async def _plan(settings: Settings, progress_line: Progress, *, source: str, name: str, to: datetime) -> Rewind:
    stream, partition = await _locate(settings, source, name)
    found = readable(stream, await read_state(settings.kafka, progress_line, [partition]))
    return _validate(stream, found, to, settings.sources[source].since)


async def _rewind(settings: Settings, progress_line: Progress, *, source: str, name: str, to: datetime) -> Rewind:
    stream, partition = await _locate(settings, source, name)

    def decide(pairs: Pairs) -> tuple[Rewind, Changes]:
        found = readable(stream, pairs)
        planned = _validate(stream, found, to, settings.sources[source].since)
        return planned, {**dict.fromkeys(found.damaged), **found.state.pairs(Batch(checkpoint=planned.after))}

    return await change_state(settings.kafka, partition, progress_line, decide)


def _validate(stream: Stream[Any], found: Readable, to: datetime, since: datetime | None) -> Rewind:
    """The rewind to this instant. Raises UserError without a state, before the stream's start and in the future."""
    what = f"{stream.source} {stream.name}"
    if to > SystemClock().now():
        text = f"{format_seconds(to)} is in the future: a stream can only be moved back"
        raise UserError(text, code="in_the_future")
    before = found.state.checkpoint
    if before is None:
        if not found.damaged:
            raise UserError(f"{what} has no state yet: there is nothing to rewind", code="no_state")
        return Rewind(None, replacement(stream, to, since), found.names)
    if to < before.since:
        text = (
            f"{what} started at {format_seconds(before.since)} and cannot be rewound to before that: "
            "for older data use `collector backfill`"
        )
        raise UserError(text, code="before_since")
    # The running owner may have fetched more than is durable. It restarts its epoch from the new checkpoint.
    is_snapshot = stream.dedup_mode is DedupMode.LATEST
    return Rewind(before, rewound(before, to), found.names, is_snapshot)
