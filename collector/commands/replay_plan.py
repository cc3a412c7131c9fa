"""What `collector dead-letters replay` publishes of a dead letter, given the state of its stream. Pure.

Records that the ledger may know are compared with it, as if the vendor had returned the row once more: so the running
stream does not publish them again. Of older ones the ledger knows nothing: they are looked for in the event topics.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from typing import Any, Literal, Self

from msgspec import Struct

from collector.cloudevents import Message
from collector.commands.dead_letters import NOT_REPLAYABLE, NOT_UNDERSTOOD, Configured, Understood, in_words
from collector.commands.replay_search import Search, Taken
from collector.errors import NotReplayable, Park, UnreadableState
from collector.instants import to_ms
from collector.model import DedupMode, Record, Window
from collector.pipeline.backfills import history_of, requests_of
from collector.pipeline.batch import Context, record_messages
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import NewRecords, NumberedRecord
from collector.pipeline.message import record_digest
from collector.pipeline.page import Entry
from collector.pipeline.progress import Progress
from collector.pipeline.shards import Shards, whole_prefix
from collector.pipeline.state import State, StateFormat, by_stream, stream_prefix
from collector.pipeline.state_records import reserved
from collector.vendors.base import Stream

FINAL_MARGIN_S = 3600
"""Records that soon may be older than `final` are looked for, too: the stream runs on meanwhile."""


class Outcome(Struct, frozen=True):
    """What became of a dead letter."""

    kind: Literal["published", "known", "not_understood", "not_replayable"]
    text: str
    events: int = 0

    @property
    def is_failure(self) -> bool:
        """Whether its records are still not published."""
        return self.kind in (NOT_UNDERSTOOD, NOT_REPLAYABLE)

    @classmethod
    def failed(cls, kind: Literal["not_understood", "not_replayable"], why: str) -> Self:
        """The outcome of a dead letter whose records are still not published."""
        return cls(kind, f"{in_words(kind)}: {why}")


REPLAYED = Outcome("known", "already published by an earlier replay")


class Planned(Struct, frozen=True):
    """What is committed together for one dead letter; without messages, nothing."""

    letter: Understood
    outcome: Outcome
    messages: Sequence[Message] = ()
    entries: Sequence[Entry] = ()
    older: Sequence[NumberedRecord[Any]] = ()
    """The records that the ledger does not know any more."""

    @property
    def prefix(self) -> str:
        return prefix_of(self.letter.stream)

    @property
    def keys(self) -> set[tuple[str, bytes]]:
        """What the numbers of other dead letters may depend on."""
        return keys_of(self.letter)

    @property
    def size(self) -> int:
        return sum(each.size for each in self.messages)


def prefix_of(stream: Stream[Any]) -> str:
    """The prefix of a stream's keys in the state topic."""
    return stream_prefix(stream.account, stream.source, stream.name)


def keys_of(letter: Understood) -> set[tuple[str, bytes]]:
    """The keys of the records of a dead letter, in the present and the former version of the fields."""
    former, prefix = letter.stream.former, whole_prefix(prefix_of(letter.stream))
    return {(prefix, each.key) for each in letter.records} | {
        (prefix, former(each).key) for each in letter.records if former is not None
    }


class States:
    """The states of the streams in a partition, each loaded when it is needed."""

    def __init__(self, configured: Configured, pairs: Mapping[bytes, bytes]) -> None:
        self._configured = configured
        self._pairs = by_stream(pairs)
        self._reserved = reserved(pairs)
        self._shards: dict[str, Shards] = {}

    def of(self, stream: Stream[Any]) -> State:
        """The state of a stream, whose ledger knows those of its other shards.

        Raises NotReplayable if it has none yet, or if it cannot be read.
        """
        prefix = prefix_of(stream)
        whole = whole_prefix(prefix)
        if whole not in self._shards:
            self._shards[whole] = self._new(stream, whole)
        try:
            state = self._shards[whole].load(prefix)
        except UnreadableState as error:
            raise NotReplayable(str(error), code=error.code) from error
        if state.checkpoint is None:
            raise NotReplayable("its stream has no state yet: start the collector first", code="no_state")
        return state

    def final_s(self, state: State) -> int:
        """From where the ledgers of all shards know what is published, in seconds on the vendor's clock."""
        return min(each.final_s for each in (state, *state.others) if each.checkpoint is not None)

    def backfilled(self, stream: Stream[Any]) -> Sequence[Window]:
        """The intervals of the completed backfills of a stream. Raises NotReplayable if they cannot be read."""
        try:
            return history_of(whole_prefix(prefix_of(stream)), self._reserved)
        except UnreadableState as error:
            raise NotReplayable(str(error), code=error.code) from error

    def is_being_backfilled(self, stream: Stream[Any], start_ms: int) -> bool:
        """Whether a backfill that is not complete is to publish what starts then. Raises NotReplayable."""
        try:
            requests = requests_of(whole_prefix(prefix_of(stream)), self._reserved)
        except UnreadableState as error:
            raise NotReplayable(str(error), code=error.code) from error
        return any(to_ms(each.start) <= start_ms < to_ms(each.end) for each in requests)

    def _new(self, stream: Stream[Any], whole: str) -> Shards:
        state_format = StateFormat(stream.dedup_mode, stream.fields_version, stream.max_clock_offset, stream.former)
        of_stream = self._configured.shards_of(stream)
        zones = {prefix_of(each): each.zone for each in of_stream}
        progress = Progress(self._configured.origin(stream), stream.policy, zones.keys())
        shards = Shards(state_format, zones, progress, nullcontext())
        shards.pairs.update((prefix, found) for prefix, found in self._pairs.items() if whole_prefix(prefix) == whole)
        return shards


class Planner:
    """Decides what is published of each dead letter, in the order of their publication."""

    def __init__(self, states: States, search: Search, taken: Taken, own: set[tuple[str, bytes]]) -> None:
        """`own` are the keys of the records that this command has published."""
        self._states = states
        self._search = search
        self._taken = dict(taken)
        self._own = own

    def search_for(self, letter: Understood) -> None:
        """Look for those records of a dead letter that the ledger does not know, or soon will not."""
        try:
            older = self._older(letter, self._states.of(letter.stream), FINAL_MARGIN_S)
        except NotReplayable:
            return
        for each in older:
            self._search.add(letter, each)

    def plan(self, letter: Understood, now: datetime) -> Planned:
        """What is published of a dead letter."""
        try:
            return self._plan(letter, now)
        except (NotReplayable, Park) as error:
            return Planned(letter, Outcome.failed(NOT_REPLAYABLE, str(error)))

    def committed(self, planned: Planned) -> None:
        """Take note that what was planned is published."""
        self._own |= planned.keys
        for each in planned.older:
            self._search.published(planned.letter, each.record, each.number)
        self._taken.update(dict.fromkeys(digests_of(planned), planned.letter.row.seen_at))

    def _plan(self, letter: Understood, now: datetime) -> Planned:
        state, stream = self._states.of(letter.stream), letter.stream
        if state.checkpoint is None:
            raise AssertionError("States.of returns only states with a checkpoint")
        context = Context(
            stream.dedup_mode,
            letter.origin,
            letter.row.window,
            letter.row.seen_at,
            state.checkpoint.watermark,
            is_live=False,
        )
        older = self._older(letter, state)
        are_older = set(map(id, older))
        deduplicator = self._deduplicator(letter, state, now)
        deduplicator.add(each for each in letter.records if id(each) not in are_older)
        entries: list[Entry] = []
        new: list[NumberedRecord[Any]] = []
        superseded = 0
        for found in deduplicator.take_new():
            if found is None:
                continue
            if self._is_superseded(letter, found):
                superseded += 1
                continue
            new += found.records
            entries += found.entries
        numbered = [each for record in older if (each := self._numbered(letter, record)) is not None]
        messages = [message for each in (*new, *numbered) for message in _messages(each, letter, context)]
        if messages:
            what = "event" if len(messages) == 1 else "events"
            outcome = Outcome("published", f"published {len(messages)} {what}", len(messages))
            return Planned(letter, outcome, messages, entries, numbered)
        if deduplicator.outside:
            if any(self._states.is_being_backfilled(stream, each.start_ms) for each in letter.records):
                raise NotReplayable("a backfill of its time is not complete: repeat this then", code="backfilling")
            raise NotReplayable("it starts before the stream's since, or not before its until", code="outside")
        if superseded:
            text = "already published in another version; the stream publishes the present one when it fetches it"
            return Planned(letter, Outcome("known", text))
        return Planned(letter, Outcome("known", "already published, or a later version of it is"))

    def _deduplicator(self, letter: Understood, state: State, now: datetime) -> Deduplicator[Any]:
        since, until = _limits_ms(letter, state)
        final_s = self._states.final_s(state)
        return Deduplicator(
            state.ledger, since_ms=since, until_ms=until, final_s=final_s, requested_s=to_ms(now) // 1000
        )

    def _older(self, letter: Understood, state: State, margin_s: int = 0) -> Sequence[Record[Any]]:
        """The records that end before `final`, or are in a completed backfill, and are published at all."""
        since, until = _limits_ms(letter, state)
        final_s = self._states.final_s(state) + margin_s
        backfilled = [(to_ms(each.start), to_ms(each.end)) for each in self._states.backfilled(letter.stream)]
        return [
            each
            for each in letter.records
            if (since <= each.start_ms and (until is None or each.start_ms < until) and each.last_s < final_s)
            or any(start <= each.start_ms < end for start, end in backfilled)
        ]

    def _is_superseded(self, letter: Understood, found: NewRecords[Any]) -> bool:
        """Whether the ledger knows a version of a record that is not from a dead letter of this command.

        Whether it is older or newer than the row, the ledger does not tell. The stream fetches the record again, since
        it is not final, and publishes its present version.
        """
        if letter.stream.dedup_mode is not DedupMode.VERSIONED or not found.records:
            return False
        first = found.records[0]
        is_own = (whole_prefix(prefix_of(letter.stream)), first.record.key) in self._own
        return first.number > 0 and not first.record.only_if_known and not is_own

    def _numbered(self, letter: Understood, record: Record[Any]) -> NumberedRecord[Any] | None:
        """An older record with its number; None if it is published."""
        if not self._search.covers(letter, record):
            raise NotReplayable("the stream has just become final there: repeat the command", code="final_moved")
        if letter.stream.dedup_mode is DedupMode.MULTISET:
            number = self._search.occurrence(letter, record, self._taken)
        else:
            number = self._search.revision(letter, record)
        return None if number is None else NumberedRecord(record, number)


def digests_of(planned: Planned) -> list[str]:
    """The digests of the older records of a `MULTISET` stream: see `dead_letters.Mark`."""
    mode, account = planned.letter.stream.dedup_mode, planned.letter.origin.account
    if mode is not DedupMode.MULTISET:
        return []
    return [record_digest(mode, each.record, each.number, account) for each in planned.older]


def _messages(new: NumberedRecord[Any], letter: Understood, context: Context) -> Sequence[Message]:
    """The messages of a record. Raises NotReplayable if they are too large."""
    messages = record_messages(new, letter.stream.explode, context, letter.stream.only_parts)
    if messages is None:
        raise NotReplayable("its messages are too large", code="too_large")
    return messages


def _limits_ms(letter: Understood, state: State) -> tuple[int, int | None]:
    """The first start of records that the stream publishes, and the first one that it does not: Unix milliseconds."""
    until, since = letter.stream.policy.until, state.checkpoint.since if state.checkpoint else None
    return 0 if since is None else to_ms(since), None if until is None else to_ms(until)
