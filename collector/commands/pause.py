"""`collector pause` and `collector resume`: stop and restart polling, for all replicas and across restarts."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from msgspec import Struct

from collector.clock import SystemClock
from collector.commands.progress import Progress
from collector.commands.state_topic import (
    WHEN,
    Changes,
    Pairs,
    change_state,
    change_state_if_needed,
    require_state_topic,
    who,
    with_kafka,
)
from collector.commands.streams import select_source, select_whole_stream
from collector.config import Settings, load
from collector.errors import UserError
from collector.instants import floor_second, format_seconds
from collector.kafka.epoch import partition_of
from collector.model import Pause
from collector.pipeline.pauses import encode_pause, pause_key, pauses_by_prefix
from collector.pipeline.state import stream_prefix
from collector.redaction import redact
from collector.vendors.http import http

MAX_REASON = 200
"""The most characters of a reason: one line of a terminal, a chat or a ticket."""


class Target(Struct, frozen=True):
    """A source, or one of its streams, and where its pause is stored."""

    name: str
    """As the arguments of the commands."""
    prefix: str
    source_prefix: str
    partition: int

    @property
    def key(self) -> bytes:
        return pause_key(self.prefix)


def pause(path: Path, source: str, stream: str | None, *, reason: str, length: timedelta | None) -> str:
    """Pause a source, or one of its streams; return a text that says until when.

    A former pause of it is replaced. Raises UserError for an unknown name, a reason that is not one line, or no time;
    Failed when Kafka cannot be used, there is no state topic, or the running collector fenced every attempt.
    """
    settings = load(path)  # so that its secrets are known, and redacted
    if length is not None and length <= timedelta(0):
        raise UserError("--for: expected a duration that is longer than zero", code="invalid_duration")
    now = floor_second(SystemClock().now())
    planned = Pause(valid_reason(reason), now, None if length is None else now + length, who())
    return with_kafka(partial(_pause, source=source, name=stream, planned=planned), settings)


def resume(path: Path, source: str, stream: str | None) -> str:
    """Resume a source with all its streams, or one stream; return a text that says what was resumed.

    Raises UserError for an unknown name, and for a stream whose source is paused; Failed as `pause`.
    """
    return with_kafka(partial(_resume, source=source, name=stream), load(path))


def valid_reason(text: str) -> str:
    """The reason without secrets. Raises UserError if it is empty, too long, or not one line of text."""
    reason = text.strip()
    if not reason or len(reason) > MAX_REASON or not reason.isprintable():
        raise UserError(f"--reason: expected one line of at most {MAX_REASON} characters", code="invalid_reason")
    return redact(reason)


async def _pause(settings: Settings, progress_line: Progress, *, source: str, name: str | None, planned: Pause) -> str:
    target = await _locate(settings, source, name)
    await require_state_topic(settings.kafka)

    def decide(pairs: Pairs) -> tuple[None, Changes]:
        return None, {target.key: encode_pause(replacing(pauses_by_prefix(pairs).get(target.prefix), planned))}

    await change_state(settings.kafka, target.partition, progress_line, decide)
    how = f"`collector resume {target.name}`"
    if planned.until is None:
        return f"{target.name} is paused until {how}; {WHEN}"
    return f"{target.name} is paused until {format_seconds(planned.until)}, or until {how}; {WHEN}"


async def _resume(settings: Settings, progress_line: Progress, *, source: str, name: str | None) -> str:
    target = await _locate(settings, source, name)
    await require_state_topic(settings.kafka)
    now = SystemClock().now()

    def decide(pairs: Pairs) -> tuple[list[str], Changes]:
        found = ended(target, pauses_by_prefix(pairs), now)
        return found, {pause_key(prefix): None for prefix in found}

    found = await change_state_if_needed(settings.kafka, target.partition, progress_line, decide)
    if not found:
        return f"{target.name} is not paused: nothing to do"
    return f"resumed {', '.join(map(_shown, found))}; {WHEN}"


def replacing(former: Pause | None, planned: Pause) -> Pause:
    """The pause to write: it has been in effect since the start of the former one, if that is not over."""
    now = planned.since
    if former is None or former.since is None or now is None or former.is_over(now):
        return planned
    return Pause(planned.reason, former.since, planned.until, planned.by)


def ended(target: Target, pauses: dict[str, Pause], now: datetime) -> list[str]:
    """The prefixes whose pauses a resume of the target ends. Raises UserError for a stream whose source is paused.

    A pause that is over ends too: its record is still there while no collector runs.
    """
    if target.prefix == target.source_prefix:
        return [each for each in pauses if each == target.prefix or each.startswith(f"{target.prefix}/")]
    whole = pauses.get(target.source_prefix)
    if whole is not None and not whole.is_over(now):
        source = _shown(target.source_prefix)
        text = f"the whole source {source} is paused: resume it with `collector resume {source}`"
        raise UserError(text, code="source_paused")
    return [each for each in pauses if each == target.prefix]


def _shown(prefix: str) -> str:
    """Source and stream of a prefix, as the arguments of the commands."""
    return " ".join(map(unquote, prefix.split("/")[2:]))


async def _locate(settings: Settings, source: str, name: str | None) -> Target:
    """Raises UserError for an unknown source or stream."""
    account = select_source(settings, source).account
    of_source, partition = stream_prefix(account, source), partition_of(str(account), settings.kafka.state_partitions)
    if name is None:
        return Target(source, of_source, of_source, partition)
    async with http(SystemClock()) as client:
        stream = select_whole_stream(settings, client, source, name)
    return Target(f"{source} {stream}", stream_prefix(account, source, stream), of_source, partition)
