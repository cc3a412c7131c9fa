"""The transactions of `collector dead-letters replay`, and what it reads of the event topics before them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from collector.commands.dead_letters import Configured, Understood, instant_of
from collector.commands.progress import Progress
from collector.commands.replay_plan import REPLAYED, Outcome, Planned, Planner, States, digests_of, keys_of, prefix_of
from collector.commands.replay_search import Search, Taken
from collector.kafka.epoch import Epoch
from collector.kafka.scan import Offsets, committed_ends, scan, whole_ends
from collector.kafka.settings import KafkaSettings
from collector.pipeline.batch import MAX_TRANSACTION_ENTRIES, Batch, TransactionSize
from collector.pipeline.dead_letters import MARK_VERSION, Mark, encode_mark, mark_key, marks
from collector.pipeline.shards import whole_prefix
from collector.pipeline.state import State

Stale = Callable[[Mapping[bytes, Mark | None]], Sequence[bytes]]
"""Returns the keys of those marks that are no longer needed."""


class EventReader:
    """Reads the event topics for a search: at first from its start, then from where the last reading ended."""

    def __init__(self, kafka: KafkaSettings, search: Search, progress_line: Progress) -> None:
        self._kafka = kafka
        self._search = search
        self._progress_line = progress_line
        self._ends: Offsets = {}

    async def read_ahead(self) -> None:
        """Read what can be read without waiting for open transactions."""
        await self._read(await committed_ends(self._kafka, self._search.since_ms))

    async def to_the_end(self) -> None:
        """Read all that is committed at the time of the call."""
        await self._read(await whole_ends(self._kafka, self._search.since_ms))

    async def _read(self, ends: Offsets) -> None:
        if not ends:
            return
        self._progress_line.show("looking for what is published")
        async for messages in scan(
            self._kafka,
            ends,
            after=self._ends,
            since_ms=self._search.since_ms,
            keys=self._search.keys,
            progress=self._progress_line.count,
        ):
            for each in messages:
                self._search.see(each.key, each.headers, each.value, each.timestamp_ms)
        self._ends = ends


class Publication:
    """Publishes the dead letters of one partition, in as many epochs as that takes."""

    def __init__(
        self,
        letters: Sequence[Understood],
        streams: Configured,
        search: Search,
        read: EventReader,
        *,
        stale: Stale,
        report: Callable[[Understood, Outcome], None],
        own_keys: set[tuple[str, bytes]],
        started_at: datetime,
    ) -> None:
        """`own_keys` are those of the records that the command has published. `started_at` identifies its marks."""
        self._letters = letters
        self._streams = streams
        self._search = search
        self._read = read
        self._stale = stale
        self._on_outcome = report
        self._own_keys = own_keys
        self._started_at = started_at
        self._done: set[str] = set()
        """The dead letters whose outcome is reported."""
        self._pending: dict[str, Planned] = {}
        """What was about to be committed when an epoch ended: the marks tell whether it is."""
        self._transaction = TransactionSize()

    async def run(self, owned: Epoch) -> None:
        """Publish what is not published yet. Raises as `Epoch.commit` does."""
        known, now = marks(owned.pairs), self._started_at
        await self._read.to_the_end()  # the former owner can publish nothing more
        states = States(self._streams, owned.pairs)
        planner = Planner(states, self._search, taken_by(known.values()), self._own_keys)
        if self._pending.keys() - self._done:  # a commit failed: under a quota, it may have been too large
            self._transaction.timed_out()
        group = _Group(owned, states, planner, now, self._transaction.limit)
        for letter in self._letters:
            if letter.stored.letter.digest in self._done:
                continue
            if key_of(letter) in known:
                self._report(letter, self._of_mark(letter, known[key_of(letter)]))
                continue
            if group.keys & keys_of(letter):
                await self._commit(group)
            planned = planner.plan(letter, now)
            if not planned.messages:
                self._report(letter, planned.outcome)
                continue
            if not group.has_room(planned):
                await self._commit(group)
            self._pending[letter.stored.letter.digest] = planned
            group.add(planned)
        await self._commit(group)
        if stale := self._stale(known):
            await owned.commit((), dict.fromkeys(stale))

    def _of_mark(self, letter: Understood, mark: Mark | None) -> Outcome:
        """The outcome of a dead letter that has a mark: that of this command, if it has written the mark."""
        planned = self._pending.get(letter.stored.letter.digest)
        is_own = mark is not None and mark.at == self._started_at
        return planned.outcome if planned is not None and is_own else REPLAYED

    async def _commit(self, group: "_Group") -> None:
        for planned in await group.commit():
            self._report(planned.letter, planned.outcome)

    def _report(self, letter: Understood, outcome: Outcome) -> None:
        self._done.add(letter.stored.letter.digest)
        self._on_outcome(letter, outcome)


class _Group:
    """The dead letters that one transaction publishes."""

    def __init__(self, owned: Epoch, states: States, planner: Planner, now: datetime, max_bytes: int) -> None:
        self._owned = owned
        self._states = states
        self._planner = planner
        self._now = now
        self._max_bytes = max_bytes
        self._planned: list[Planned] = []
        self._bytes = self._entries = 0
        self.keys: set[tuple[str, bytes]] = set()

    def has_room(self, planned: Planned) -> bool:
        fits = self._bytes + planned.size <= self._max_bytes
        return not self._planned or (fits and self._entries + len(planned.entries) <= MAX_TRANSACTION_ENTRIES)

    def add(self, planned: Planned) -> None:
        self._planned.append(planned)
        self._bytes += planned.size
        self._entries += len(planned.entries)
        self.keys |= planned.keys

    async def commit(self) -> Sequence[Planned]:
        """Commit the group, and begin the next one. Returns what was committed."""
        planned, self._planned, self.keys = self._planned, [], set()
        self._bytes = self._entries = 0
        if not planned:
            return ()
        pairs: dict[bytes, bytes | None] = {key_of(each.letter): self._mark(each) for each in planned}
        batches = list(self._batches(planned))
        for state, batch in batches:
            pairs |= state.pairs(batch)
        await self._owned.commit([message for each in planned for message in each.messages], pairs)
        for state, batch in batches:
            state.apply(batch)
        for each in planned:
            self._planner.committed(each)
        return planned

    def _batches(self, planned: Sequence[Planned]) -> Iterator[tuple[State, Batch]]:
        """The entries of each stream's ledger."""
        by_prefix: dict[str, list[Planned]] = {}
        for each in planned:
            by_prefix.setdefault(each.prefix, []).append(each)
        for several in by_prefix.values():
            entries = [entry for each in several for entry in each.entries]
            yield self._states.of(several[0].letter.stream), Batch(entries=entries)

    def _mark(self, planned: Planned) -> bytes:
        published_at = instant_of(planned.letter.stored.published_ms)
        mark = Mark(MARK_VERSION, self._now, published_at, planned.letter.row.seen_at, digests_of(planned))
        return encode_mark(mark)


def key_of(letter: Understood) -> bytes:
    """The key of the mark of a dead letter."""
    return mark_key(whole_prefix(prefix_of(letter.stream)), letter.stored.letter.digest)


def taken_by(known: Iterable[Mark | None]) -> Taken:
    """The older records that were published of dead letters with these marks."""
    return {digest: mark.seen_at for mark in known if mark is not None for digest in mark.digests}
