"""`collector backfill`: publishes data that is older than a stream, beside the live data."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct, structs

from collector.alignment import Alignment, Snapshot
from collector.clock import SystemClock
from collector.commands.progress import Progress
from collector.commands.state_topic import (
    WHEN,
    Changes,
    Pairs,
    change_state_if_needed,
    require_state_topic,
    who,
    with_kafka,
)
from collector.commands.streams import select_stream, select_whole_stream
from collector.config import Settings, load
from collector.errors import UserError, both
from collector.instants import floor_second, format_seconds
from collector.kafka.epoch import partition_of
from collector.model import Backfill, Window
from collector.pipeline.backfills import (
    backfill_key,
    described,
    encode_backfill,
    history_of,
    history_zones,
    next_published,
    requests_of,
    starts_of,
)
from collector.pipeline.state import by_stream, stream_prefix
from collector.vendors.base import Stream
from collector.vendors.http import http

Decide = Callable[["Known", str, Stream[Any]], tuple[str, Changes]]
"""What to write and to print, given what is known of a stream, the prefix of the whole stream, and the stream."""


class Known(Struct, frozen=True):
    """What the state says of a stream and its backfills."""

    name: str
    """As the arguments of the commands."""
    since: datetime | None
    """Where the earliest shard starts; None if the stream has no state."""
    requests: Sequence[Backfill]
    history: Sequence[Window]
    history_zones: str = ""
    """The time zones of the source with which completed backfills were made; empty if that is not known."""


def backfill(path: Path, source: str, stream: str, start: datetime, end: datetime | None) -> str:
    """Request a backfill; return a text that says which. Without `end`, it ends where the next published data starts.

    Raises UserError for an unknown stream, one without history or state, and an interval that is published already or
    part of another backfill, or if one was made with other time zones; Failed when Kafka cannot be used, or the running
    collector fenced every attempt.
    """
    settings = load(path)
    now = floor_second(SystemClock().now())

    def decide(known: Known, prefix: str, selected: Stream[Any]) -> tuple[str, Changes]:
        first, last = floor_second(start), None if end is None else floor_second(end)
        require_cuts(first, last, selected.policy.alignment)
        planned = plan(known, first, last, now, selected.zones)
        text = f"{known.name}: a backfill {described(planned)} is requested; {WHEN}. `collector status` then shows it"
        return text, {backfill_key(prefix, planned.start): encode_backfill(planned)}

    return with_kafka(partial(_change, source=source, name=stream, decide=decide), settings)


def cancel(path: Path, source: str, stream: str) -> str:
    """Cancel the backfill of a stream; return a text that says which. What it has published stays published.

    Raises UserError for an unknown stream and without a backfill; Failed as `backfill`.
    """

    def decide(known: Known, prefix: str, _: Stream[Any]) -> tuple[str, Changes]:
        active = [each for each in known.requests if not each.is_cancelled]
        if not active:
            raise UserError(f"{known.name} has no backfill to cancel", code="no_backfill")
        ended = {
            backfill_key(prefix, each.start): encode_backfill(structs.replace(each, is_cancelled=True))
            for each in active
        }
        text = (
            f"{known.name}: the backfill {described(active[0])} is cancelled; {WHEN}. Request it again to continue it"
        )
        return text, ended

    return with_kafka(partial(_change, source=source, name=stream, decide=decide), load(path))


def require_cuts(start: datetime, end: datetime | None, alignment: Alignment) -> None:
    """Raise UserError as `require_cut`, for the start, the end, or both."""
    both(
        lambda: require_cut("--from", start, alignment),
        lambda: None if end is None else require_cut("--to", end, alignment),
    )


def require_cut(option: str, instant: datetime, alignment: Alignment) -> None:
    """Raise UserError if a stream of periods has none that starts at this instant."""
    before = alignment.floor(instant)
    if alignment.is_exact and before != instant:
        nearest = f"{format_seconds(before)} or {format_seconds(alignment.after(instant))}"
        text = f"{option}: no period of the stream starts at {format_seconds(instant)}: pass {nearest}"
        raise UserError(text, code="not_a_cut")


def plan(known: Known, start: datetime, end: datetime | None, now: datetime, zones: str = "") -> Backfill:
    """The request to write, given the time zones of the source.

    Raises UserError if the interval cannot be backfilled, or is published already.
    """
    if known.since is None:
        text = f"{known.name} has no state yet: set `since` of its source to where its data should start"
        raise UserError(text, code="no_state")
    _require_equal_zones(known, zones)
    end = next_published(start, known.since, known.history) if end is None else end
    if start >= end:
        text = f"--from must be before --to, which is {format_seconds(end)}"
        raise UserError(text, code="empty_interval")
    if end > known.since:
        text = (
            f"{known.name} itself publishes what starts at {format_seconds(known.since)} or later: pass this time or "
            "an earlier one with --to, or fetch newer data again with `collector state rewind`"
        )
        raise UserError(text, code="not_older")
    for each in known.history:
        if start < each.end and each.start < end:
            text = (
                f"what starts from {format_seconds(each.start)} to {format_seconds(each.end)} is published already: "
                "pass another interval"
            )
            raise UserError(text, code="published")
    for other in known.requests:
        if (other.start, other.end) == (start, end) and other.is_cancelled:
            continue  # its state is kept, so that it continues
        if not other.is_cancelled:
            text = f"a backfill {described(other)} runs: wait until it is complete, or cancel it with --cancel"
            raise UserError(text, code="backfill_runs")
        if start < other.end and other.start < end:
            text = (
                f"the cancelled backfill {described(other)} overlaps: request the same interval again to continue it, "
                "or one that does not overlap"
            )
            raise UserError(text, code="backfill_cancelled")
    return Backfill(start, end, now, who(), zones=zones)


def _require_equal_zones(known: Known, zones: str) -> None:
    """Raise UserError if a backfill of the stream was made with other time zones: its instants are other ones now."""
    others = (each for each in (known.history_zones, *(each.zones for each in known.requests)) if each)
    if (other := next((each for each in others if each != zones), None)) is not None:
        text = (
            f"{known.name} has a backfill that was made with other time zones ({other}; the source now has {zones}): "
            "hours at its ends would be published twice, or not at all. For older data, add a separate source with "
            "since and until: ids are equal, so consumers can remove by id what is published twice"
        )
        raise UserError(text, code="other_zones")


async def _change(settings: Settings, progress_line: Progress, *, source: str, name: str, decide: Decide) -> str:
    stream = await _select(settings, source, name)
    prefix = stream_prefix(stream.account, stream.source, name)
    partition = partition_of(str(stream.account), settings.kafka.state_partitions)
    await require_state_topic(settings.kafka)

    def change(pairs: Pairs) -> tuple[str, Changes]:
        return decide(known_of(f"{source} {name}", prefix, pairs), prefix, stream)

    return await change_state_if_needed(settings.kafka, partition, progress_line, change)


async def _select(settings: Settings, source: str, name: str) -> Stream[Any]:
    """The stream. Raises UserError if it is unknown, or has no history."""
    async with http(SystemClock()) as client:
        stream = select_stream(settings, client, source, select_whole_stream(settings, client, source, name))
    if isinstance(stream.policy.alignment, Snapshot):
        text = f"{source} {name} has no history: the vendor reports the present state only"
        raise UserError(text, code="no_history")
    return stream


def known_of(name: str, prefix: str, pairs: Pairs) -> Known:
    """What the pairs of a partition say of a stream, given its whole prefix. Raises UnreadableState."""
    since = min(starts_of(prefix, by_stream(pairs)), default=None)
    return Known(name, since, requests_of(prefix, pairs), history_of(prefix, pairs), history_zones(prefix, pairs))
