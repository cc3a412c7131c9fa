"""`collector dead-letters replay`: publishes dead letters whose rows this version understands.

Each dead letter is published once. Its events, the ledger entries of its records and its mark are committed in one
transaction, by the owner of its state partition: the command takes the partition over, as `state rewind` does, and the
running collector takes it back.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from msgspec import Struct, structs

from collector.clock import SystemClock
from collector.commands.dead_letters import (
    NOT_REPLAYABLE,
    NOT_UNDERSTOOD,
    Configured,
    Letters,
    Selected,
    Understood,
    configured,
    in_words,
    named,
    status_of,
    validate,
)
from collector.commands.progress import Progress
from collector.commands.replay_commit import EventReader, Publication, key_of, taken_by
from collector.commands.replay_plan import REPLAYED, Outcome, Planner, States, prefix_of
from collector.commands.replay_search import Search
from collector.commands.state_topic import read_state, require_state_topic, taken_over, with_kafka
from collector.config import Settings, load
from collector.errors import Failed, NotReplayable, RetryLater
from collector.instants import to_ms
from collector.kafka.epoch import partition_of
from collector.kafka.scan import existing
from collector.model import whole_name
from collector.pipeline.dead_letters import (
    Mark,
    StoredLetter,
    marks,
    split_mark_key,
)
from collector.pipeline.message import topics_of
from collector.pipeline.shards import whole_prefix
from collector.plurals import counted
from collector.registry.ids import schema_ids
from collector.telemetry.metrics import Metrics

MAX_CHUNK_BYTES = 16 << 20
"""Bytes of the payloads that are in memory at a time; decoded, they need about ten times as many."""
MAX_CHUNK_LETTERS = 20_000
MARK_MARGIN = timedelta(hours=1)
"""A mark is kept at least that long, whatever the clocks of brokers and of other processes are."""

Report = Callable[[StoredLetter, Outcome], None]


class Replayed(Struct, frozen=True):
    """How many dead letters had each outcome, and the number of published events."""

    outcomes: Counter[str]
    events: int
    missing_topics: Sequence[str] = ()
    """Topics of events that do not exist: the dead letters of their streams were left out."""

    @property
    def has_failures(self) -> bool:
        return bool(self.outcomes[NOT_UNDERSTOOD] or self.outcomes[NOT_REPLAYABLE])

    def __str__(self) -> str:
        events = counted(self.events, "event")
        texts = {
            "published": f"published ({events})",
            "known": "already published",
            NOT_UNDERSTOOD: in_words(NOT_UNDERSTOOD),
            NOT_REPLAYABLE: in_words(NOT_REPLAYABLE),
        }
        found = [f"{self.outcomes[kind]} {text}" for kind, text in texts.items() if self.outcomes[kind]]
        return ", ".join(found) or "no dead letters"


def count(path: Path, selected: Selected) -> tuple[int, int]:
    """The number of the selected dead letters, and how many of them this version understands.

    Raises UserError for a wrong configuration or an unknown source or stream, and Failed when Kafka cannot be used.
    """
    settings = load(path)
    validate(settings, selected)
    return with_kafka(partial(_count, selected=selected), settings)


def replay(
    path: Path, names: Sequence[str] | None, selected: Selected, report: Report, *, dry_run: bool = False
) -> Replayed:
    """Publish the named dead letters, or all that are selected, and report what became of each.

    With `dry_run`, only report what would be published. Raises as `count` does, and UserError for a name of no or of
    several dead letters. What was reported stays published.
    """
    settings = load(path)
    validate(settings, selected)
    operation = partial(_replay, names=names, selected=selected, report=report, dry_run=dry_run)
    return with_kafka(operation, settings)


async def _count(settings: Settings, progress_line: Progress, *, selected: Selected) -> tuple[int, int]:
    total, understood, now = 0, 0, SystemClock().now()
    async with configured(settings) as streams:
        async for found in Letters(streams, progress_line).read(selected):
            for stored in found:
                total += 1
                try:
                    streams.understood(stored, now)
                except NotReplayable:
                    continue
                understood += 1
    return total, understood


async def _replay(
    settings: Settings,
    progress_line: Progress,
    *,
    names: Sequence[str] | None,
    selected: Selected,
    report: Report,
    dry_run: bool,
) -> Replayed:
    await require_state_topic(settings.kafka)
    async with configured(settings) as streams:
        letters = Letters(streams, progress_line)
        run = _Run(streams, letters, progress_line, report, dry_run=dry_run)
        if names is not None:
            await run.process(await named(letters, names), is_last=True)
        else:
            async for chunk, is_last in _chunks(letters.read(selected)):
                await run.process(chunk, is_last=is_last)
    return Replayed(run.outcomes, run.events, sorted(run.missing_topics))


async def _chunks(found: AsyncIterator[list[StoredLetter]]) -> AsyncIterator[tuple[list[StoredLetter], bool]]:
    """Divide dead letters by the size of their payloads. Also yields whether a chunk is the last one."""
    chunk: list[StoredLetter] = []
    size = 0
    async for several in found:
        for stored in several:
            if size > MAX_CHUNK_BYTES or len(chunk) >= MAX_CHUNK_LETTERS:
                yield chunk, False
                chunk, size = [], 0
            chunk.append(stored)
            size += len(stored.letter.payload)
    yield chunk, True


class _Run:
    """One execution of the command."""

    def __init__(
        self, streams: Configured, letters: Letters, progress_line: Progress, report: Report, *, dry_run: bool
    ) -> None:
        self.outcomes = Counter[str]()
        self.events = 0
        self.streams = streams
        self.kafka = streams.settings.kafka
        self.started_at = SystemClock().now()
        """Also in its marks, by which it recognises them."""
        self.own_keys: set[tuple[str, bytes]] = set()
        self.own_ids: set[bytes] = set()
        self.missing_topics: set[str] = set()
        self._letters = letters
        self._progress_line = progress_line
        self._report = report
        self._dry_run = dry_run

    async def process(self, chunk: Sequence[StoredLetter], *, is_last: bool) -> None:
        """Publish what is understood of these dead letters."""
        by_partition: dict[int, list[Understood]] = {}
        for stored in sorted(chunk, key=lambda each: each.published_ms):
            try:
                letter = self.streams.understood(stored, self.started_at)
            except NotReplayable as error:
                self.report(stored, Outcome.failed(status_of(error), str(error)))
                continue
            partition = partition_of(str(letter.stream.account), self.kafka.state_partitions)
            by_partition.setdefault(partition, []).append(letter)
        all_topics = {topic for several in by_partition.values() for each in several for topic in each.topics}
        self.missing_topics |= all_topics.difference(await existing(self.kafka, all_topics) if all_topics else ())
        for partition, of_partition in sorted(by_partition.items()):
            letters = self._with_topics(of_partition)
            letters = letters if self._dry_run else await self._with_schema_ids(letters)
            await self._process_partition(partition, letters, is_last=is_last)

    def report(self, stored: StoredLetter, outcome: Outcome) -> None:
        """Report what became of a dead letter, and count it."""
        self.outcomes[outcome.kind] += 1
        self.events += outcome.events
        if self._dry_run and outcome.kind == "published":
            outcome = structs.replace(outcome, text=outcome.text.replace("published", "would publish"))
        with self._progress_line.paused():
            self._report(stored, outcome)

    def _with_topics(self, letters: Sequence[Understood]) -> Sequence[Understood]:
        """Those whose streams have all their topics. The others are reported, and do not stop these."""
        found = []
        for letter in letters:
            if missing := sorted(letter.topics & self.missing_topics):
                self.report(letter.stored, Outcome.failed(NOT_REPLAYABLE, f"the topic {missing[0]} is missing"))
            else:
                found.append(letter)
        return found

    async def _process_partition(self, partition: int, letters: Sequence[Understood], *, is_last: bool) -> None:
        # What is looked for in the event topics is read before the partition is taken over: meanwhile, streams run.
        pairs = await read_state(self.kafka, self._progress_line, [partition])
        search, known = Search(self.own_ids), marks(pairs)
        planner = Planner(States(self.streams, pairs), search, taken_by(known.values()), self.own_keys)
        for letter in letters:
            if key_of(letter) not in known:
                planner.search_for(letter)
        read = EventReader(self.kafka, search, self._progress_line)
        await read.read_ahead()
        outcomes = [
            REPLAYED if key_of(letter) in known else planner.plan(letter, self.started_at).outcome for letter in letters
        ]
        stale = self._stale if is_last else lambda _: ()
        if self._dry_run or not (any(each.kind == "published" for each in outcomes) or stale(known)):
            for letter, outcome in zip(letters, outcomes, strict=True):
                self.report(letter.stored, outcome)
            return
        self._progress_line.show("taking over the state partition")
        publication = Publication(
            letters,
            self.streams,
            search,
            read,
            stale=stale,
            report=lambda letter, outcome: self.report(letter.stored, outcome),
            own_keys=self.own_keys,
            started_at=self.started_at,
        )
        await taken_over(self.kafka, partition, publication.run)

    def _stale(self, known: Mapping[bytes, Mark | None]) -> list[bytes]:
        """The keys of marks whose dead letters have expired.

        Such a dead letter is no longer in its topic, and it is older than all that still are. Marks of streams that are
        not configured are kept: their topics were not read.
        """
        topics = {
            whole_prefix(prefix_of(each)): self.streams.topic(source)
            for (source, _), shards in self.streams.shards.items()
            for each in shards
        }
        found = []
        for key, mark in known.items():
            prefix, digest = split_mark_key(key)
            if mark is None or prefix not in topics or digest.encode() in self._letters.seen:
                continue
            latest_ms = to_ms(self.started_at - MARK_MARGIN)
            if to_ms(mark.published_at) < min(latest_ms, self._letters.oldest_ms.get(topics[prefix], latest_ms)):
                found.append(key)
        return found

    async def _with_schema_ids(self, letters: Sequence[Understood]) -> list[Understood]:
        """The dead letters, whose messages name their schemas as those of the daemon do.

        Raises Failed while the registry is away, and Park when it refuses a schema.
        """
        by_stream: dict[tuple[str, str], dict[str, bytes]] = {}
        async with schema_ids(self.kafka.schema_registry, Metrics()) as registry:
            for letter in letters if registry is not None else ():
                stream, origin = letter.stream, letter.origin
                name = (stream.source, whole_name(stream.name))
                if registry is None or name in by_stream:
                    continue
                try:
                    types = topics_of(stream.event_types, origin.topic_prefix, origin.progress_prefix)
                    by_stream[name] = await registry.of_types(types)
                except RetryLater as error:
                    raise Failed(f"{error}: {error.advice}", code=error.code) from error
        return [_with_ids(each, by_stream) for each in letters]


def _with_ids(letter: Understood, ids: Mapping[tuple[str, str], dict[str, bytes]]) -> Understood:
    found = ids.get((letter.stream.source, whole_name(letter.stream.name)), {})
    return structs.replace(letter, origin=structs.replace(letter.origin, schema_ids=found))
