"""Dead letters of configured streams, and an epoch in memory to which they are published again."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from collector.cloudevents import Message
from collector.commands.dead_letters import Configured, Understood
from collector.commands.replay_commit import EventReader, Publication
from collector.commands.replay_plan import Outcome, prefix_of
from collector.commands.replay_search import Search
from collector.config import Settings
from collector.errors import EpochEnded
from collector.instants import to_ms
from collector.kafka.epoch import Epoch
from collector.model import Checkpoint, Record, Reject, Window, whole_name
from collector.pipeline.batch import Batch, Context, batches
from collector.pipeline.dead_letters import StoredLetter, stored_letter
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.message import dead_letter_message
from collector.pipeline.state import State, StateFormat, by_stream, load
from collector.vendors.base import Stream

SEEN_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
NOW = datetime(2026, 11, 30, tzinfo=UTC)
ALL_TIME = Window(datetime(2010, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
FORMER_ERROR = "Expected what the former release expected - at `$.x`"


def settings_of(**sources: Mapping[str, Any]) -> Settings:
    """The configuration of these sources."""
    return Settings.model_validate({"sources": sources})


def letter_of(
    streams: Configured,
    stream: Stream[Any],
    reject: Reject,
    window: Window = ALL_TIME,
    published_at: datetime = SEEN_AT,
    seen_at: datetime = SEEN_AT,
) -> StoredLetter:
    """The dead letter that the daemon publishes for a reject, as it is read back."""
    message = dead_letter_message(reject, streams.origin(stream), window=window, seen_at=seen_at, reason="malformed")
    found = stored_letter(message.key, message.value, to_ms(published_at))
    assert found is not None
    return found


class Topics:
    """The event topics and a state partition in memory, and the daemon's worker as far as it publishes."""

    def __init__(self, streams: Configured) -> None:
        self.streams = streams
        self.messages: list[tuple[int, Message]] = []
        """With the time of their publication, in Unix milliseconds."""
        self.pairs: dict[bytes, bytes] = {}
        self.now = SEEN_AT
        self.failures: list[bool] = []
        """For each of the next commits: whether it is durable, although it fails."""
        self.reported: list[tuple[str, Outcome]] = []

    def started(self, stream: Stream[Any], since: datetime, final: datetime) -> None:
        """Let a stream be final up to an instant."""
        checkpoint = Checkpoint(since, max(final, self.now), final, timedelta(hours=1), since)
        self._write((), self.state(stream).pairs(Batch(checkpoint=checkpoint)))

    def state(self, stream: Stream[Any]) -> State:
        state_format = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        return load(prefix_of(stream), state_format, by_stream(self.pairs).get(prefix_of(stream), {}))

    def receive(self, stream: Stream[Any], records: Sequence[Record[Any]]) -> int:
        """Let the daemon publish what is new of a response. Returns the number of messages."""
        state, until = self.state(stream), stream.policy.until
        assert state.checkpoint is not None
        deduplicator: Deduplicator[Any] = Deduplicator(
            state.ledger,
            since_ms=to_ms(state.checkpoint.since),
            until_ms=None if until is None else to_ms(until),
            final_s=state.final_s,
            requested_s=to_ms(self.now) // 1000,
        )
        deduplicator.add(records)
        origin = self.streams.origin(stream)
        context = Context(stream.dedup_mode, origin, ALL_TIME, self.now, self.now, is_live=False)
        published = 0
        for batch in filter(None, batches(deduplicator, stream.explode, context, stream.only_parts)):
            self._write(batch.messages, state.pairs(batch))
            state.apply(batch)
            published += len(batch.messages)
        return published

    async def replay(self, *letters: Understood) -> list[str]:
        """Publish dead letters as the command does, in as many epochs as it needs. Returns the kinds of outcomes."""
        self.reported = []
        search = Search(set())
        publication = Publication(
            letters,
            self.streams,
            search,
            cast("EventReader", _Reader(self, search, letters)),
            stale=lambda _: (),
            report=lambda letter, outcome: self.reported.append((letter.stored.letter.digest, outcome)),
            own_keys=set(),
            started_at=self.now,
        )
        while True:
            try:
                await publication.run(cast("Epoch", _Epoch(self)))
            except EpochEnded:
                continue
            return [outcome.kind for _, outcome in self.reported]

    def ids(self) -> list[str]:
        return [message.id.decode() for _, message in self.messages]

    def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        """Commit all of it, or fail as the test says."""
        fails = bool(self.failures)
        if not fails or self.failures.pop(0):
            self._write(messages, state)
        if fails:
            raise EpochEnded

    def _write(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        self.messages += [(to_ms(self.now), each) for each in messages]
        for key, value in state.items():
            self.pairs.pop(key, None)
            if value is not None:
                self.pairs[key] = value


class _Epoch:
    def __init__(self, topics: Topics) -> None:
        self.pairs = dict(topics.pairs)
        self._topics = topics

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        self._topics.commit(messages, state)


class _Reader:
    """Looks for all records of the dead letters in everything that was published."""

    def __init__(self, topics: Topics, search: Search, letters: Sequence[Understood]) -> None:
        self._topics = topics
        self._search = search
        self._read = 0
        for letter in letters:
            for record in letter.records:
                search.add(letter, record)

    async def to_the_end(self) -> None:
        for published_ms, message in self._topics.messages[self._read :]:
            self._search.see(message.key, dict(message.headers), message.value, published_ms)
        self._read = len(self._topics.messages)


def stream_of(streams: Configured, source: str, name: str) -> Stream[Any]:
    (stream,) = streams.shards[source, whole_name(name)]
    return stream
