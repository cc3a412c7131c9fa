"""Reads dead letters, and decodes their rows again, for the commands `collector dead-letters`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from msgspec import Struct, structs

from collector.clock import SystemClock
from collector.commands.progress import Progress
from collector.commands.streams import require_stream, select_source
from collector.config import Settings
from collector.errors import NotReplayable, Park, Split, UserError
from collector.instants import UNIX_EPOCH, to_ms
from collector.kafka.scan import Offsets, committed_ends, existing, scan
from collector.model import Record, Reject, RejectedRow, whole_name
from collector.pipeline.dead_letters import StoredLetter, rejected_row, stored_letter
from collector.pipeline.message import DEAD_LETTER, Origin
from collector.pipeline.rejects import FAR_AHEAD
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors import VENDORS
from collector.vendors.base import Stream
from collector.vendors.http import http
from collector.worker import MAX_AHEAD

MIN_PREFIX = 4
"""The fewest characters of an id that name a dead letter."""
NOT_UNDERSTOOD: Final = "not_understood"
"""The code of a row that this version does not understand either."""
NOT_REPLAYABLE: Final = "not_replayable"


class Selected(Struct, frozen=True):
    """Which dead letters a command is about; all by default."""

    source: str | None = None
    stream: str | None = None

    def selects(self, stored: StoredLetter) -> bool:
        letter = stored.letter
        return self.source in (None, letter.source) and self.stream in (None, letter.stream)


class Understood(Struct, frozen=True):
    """A dead letter whose row this version understands."""

    stored: StoredLetter
    stream: Stream[Any]
    origin: Origin
    row: RejectedRow
    records: Sequence[Record[Any]]

    @property
    def topics(self) -> set[str]:
        """The topics of its stream's events."""
        return {self.origin.topic_prefix + each.topic for each in self.stream.event_types}


class Configured(Struct, frozen=True):
    """The configured streams, which decode the rows of their dead letters."""

    settings: Settings
    shards: Mapping[tuple[str, str], Sequence[Stream[Any]]]
    """By source and stream: one for each time zone."""

    def origin(self, stream: Stream[Any]) -> Origin:
        """What the messages of a stream say about where they come from."""
        origin = self.settings.origin(stream.account, stream.source, whole_name(stream.name))
        return structs.replace(origin, timezone=str(stream.zone))

    def shards_of(self, stream: Stream[Any]) -> Sequence[Stream[Any]]:
        """The stream, or all of its shards."""
        return self.shards[stream.source, whole_name(stream.name)]

    def topic(self, source: str) -> str:
        """The topic of a source's dead letters."""
        return self.settings.topic_prefix(source) + DEAD_LETTER.topic

    @property
    def topics(self) -> set[str]:
        return set(map(self.topic, self.settings.sources))

    def understood(self, stored: StoredLetter, now: datetime) -> Understood:
        """The records of a dead letter. Raises NotReplayable; with the code NOT_UNDERSTOOD if it is not understood."""
        stream = self._stream_of(stored)
        row, records = rejected_row(stored, self.origin(stream)), list[Record[Any]]()
        try:
            for each in stream.decode_again(row):
                if isinstance(each, Reject):
                    raise NotReplayable(each.error, code=NOT_UNDERSTOOD)
                if each is not None and each.start_ms > to_ms(now + MAX_AHEAD):
                    raise NotReplayable(FAR_AHEAD, code=NOT_UNDERSTOOD)
                records += () if each is None else (each,)
        except (Park, Split) as error:
            raise NotReplayable(str(error), code=error.code) from error
        if not records:
            text = "its stream does not publish such a row: it has no data, or is of a period outside its window"
            raise NotReplayable(text, code="not_published")
        return Understood(stored, stream, self.origin(stream), row, records)

    def _stream_of(self, stored: StoredLetter) -> Stream[Any]:
        letter = stored.letter
        if letter.source not in self.settings.sources:
            raise NotReplayable(f"the source {letter.source} is not configured", code="unknown_source")
        shards = self.shards.get((letter.source, letter.stream), ())
        if not shards:
            text = f"the stream {letter.source} {letter.stream} is not configured"
            raise NotReplayable(text, code="unknown_stream")
        if len(shards) == 1:
            return shards[0]
        if letter.timezone is None:
            text = "an earlier release wrote it, and does not say in which of the source's time zones the row is"
            raise NotReplayable(text, code="zone_unknown")
        found = [each for each in shards if str(each.zone) == letter.timezone]
        if not found:
            raise NotReplayable(f"the source has no time zone {letter.timezone} any more", code="configuration_changed")
        return found[0]


@asynccontextmanager
async def configured(settings: Settings) -> AsyncIterator[Configured]:
    """The streams of all sources. They fetch nothing."""
    shards: dict[tuple[str, str], list[Stream[Any]]] = {}
    async with http(SystemClock()) as client:
        for name, source in settings.sources.items():
            for stream in VENDORS[source.vendor].load().streams(name, source, client, standalone_telemetry(name)):
                shards.setdefault((name, whole_name(stream.name)), []).append(stream)
        yield Configured(settings, shards)


class Letters:
    """All dead letters in the topics of the configured sources, up to their ends at the first reading.

    Each is yielded once, as it was published first, however often its topic has it.
    """

    def __init__(self, configured: Configured, progress_line: Progress) -> None:
        self._configured = configured
        self._progress_line = progress_line
        self._ends: Offsets | None = None
        self.unreadable = 0
        """The messages in the last reading that are no dead letters."""
        self.seen: set[bytes] = set()
        """The digests of all dead letters, selected or not."""
        self.oldest_ms: dict[str, int] = {}
        """When the oldest message of each topic was published: Unix time in milliseconds."""

    async def read(self, selected: Selected | None = None) -> AsyncIterator[list[StoredLetter]]:
        """Yield the selected dead letters, in the order of each partition."""
        kafka = self._configured.settings.kafka
        if self._ends is None:
            self._ends = await committed_ends(kafka, await existing(kafka, self._configured.topics))
        self.unreadable, self.seen = 0, set()
        self._progress_line.show("reading the dead letters")
        async for messages in scan(kafka, self._ends, progress=self._progress_line.count):
            found = []
            for each in messages:
                oldest_ms = self.oldest_ms.get(each.topic, each.timestamp_ms)
                self.oldest_ms[each.topic] = min(oldest_ms, each.timestamp_ms)
                if (stored := stored_letter(each.key, each.value, each.timestamp_ms)) is None:
                    self.unreadable += 1
                    continue
                digest = stored.letter.digest.encode()
                if digest not in self.seen and (selected is None or selected.selects(stored)):
                    found.append(stored)
                self.seen.add(digest)
            if found:
                yield found


def status_of(error: NotReplayable) -> Literal["not_understood", "not_replayable"]:
    """What is shown of a dead letter with this error."""
    return NOT_UNDERSTOOD if error.code == NOT_UNDERSTOOD else NOT_REPLAYABLE


def in_words(status: str) -> str:
    """The status of a dead letter as all commands print it."""
    return status.replace("_", " ")


async def named(letters: Letters, names: Sequence[str]) -> list[StoredLetter]:
    """The dead letters with these ids, or with these beginnings of ids.

    Raises UserError for a name of no or of several dead letters.
    """
    wanted = {name: name.partition("/")[0].lower() for name in names}
    for name, beginning in wanted.items():
        if len(beginning) < MIN_PREFIX:
            text = f"{name!r} names no dead letter: give its id, or at least {MIN_PREFIX} characters of it"
            raise UserError(text, code="id_too_short")
    found: dict[str, dict[str, StoredLetter]] = {name: {} for name in names}
    async for several in letters.read():
        for stored in several:
            for name, beginning in wanted.items():
                if stored.letter.digest.startswith(beginning) and len(found[name]) <= 1:
                    found[name][stored.letter.digest] = stored
    for name, matching in found.items():
        if not matching:
            text = f"no dead letter has the id {name}: see collector dead-letters list"
            raise UserError(text, code="unknown_dead_letter")
        if len(matching) > 1:
            raise UserError(f"several dead letters have ids that begin with {name}", code="ambiguous_dead_letter")
    return list({digest: each for matching in found.values() for digest, each in matching.items()}.values())


def validate(settings: Settings, selected: Selected) -> None:
    """Raise UserError if the source, or its stream, is not configured."""
    if selected.source is None:
        return
    source = select_source(settings, selected.source)
    if selected.stream is not None:
        require_stream(selected.source, selected.stream, source.chosen)


def instant_of(unix_ms: int) -> datetime:
    """The instant of Unix milliseconds."""
    return (UNIX_EPOCH + timedelta(milliseconds=unix_ms)).astimezone(UTC)
