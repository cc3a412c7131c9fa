"""The loop of one stream: fetch a window, drop what is already published, commit the rest, advance. Start reading here.

What is new is decided just before each commit, in order. The state changes only after a commit has succeeded. Whatever
fails, the checkpoint stays where it was and the same window is fetched again; records that were committed meanwhile are
recognized by the ledger and are not published twice.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from datetime import datetime, timedelta
from random import Random
from typing import Generic, TypeVar

import anyio
import msgspec
from msgspec import structs

from collector.clock import Clock
from collector.cloudevents import Message
from collector.errors import EpochEnded, Park, RetryLater, Split, release_frames
from collector.fetching import fetch_whole
from collector.instants import SECOND, to_ms
from collector.model import Checkpoint, FetchResult, Record, Reject, Window
from collector.pipeline import plan
from collector.pipeline.batch import Batch, Context, TransactionSize, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.gaps import Gaps
from collector.pipeline.message import Origin, StreamProgress
from collector.pipeline.plan import Cursors, Done, Fetch, Wait, next_step
from collector.pipeline.progress import state_after
from collector.pipeline.rejects import FAR_AHEAD, MAX_DEAD_LETTERS, DeadLetterCap, RejectRate
from collector.pipeline.shards import Shards
from collector.pipeline.state import State
from collector.saving import SAVE_INTERVAL, is_due, next_save
from collector.telemetry.stream import StreamTelemetry
from collector.turns import Turn
from collector.vendors import backoff
from collector.vendors.base import Stream

P = TypeVar("P")
Commit = Callable[[Sequence[Message], Mapping[bytes, bytes | None]], Awaitable[None]]
"""Commits messages and state in one transaction. When it returns, all of it is durable.

Raises EpochEnded when the outcome is unknown: the stream must then start again from the durable state.
"""

MAX_AHEAD = timedelta(days=1)
"""How far ahead of both clocks a record may start. A later one would stay in the ledger until its time has come."""
JOIN_TIME = timedelta(seconds=30)
"""The time in which all shards of a stream begin, unless the state or a topic of one of them cannot be used."""
MANY_FAILURES = 5
"""After this many failures in a row, the progress that consumers read says that the stream is no longer live."""
CREDENTIALS_CHECK_INTERVAL = timedelta(seconds=3)
"""How soon a parked stream retries after its credentials have changed: the operator who changed them is watching."""


class Worker(Generic[P]):
    """Runs one stream during one epoch."""

    def __init__(
        self,
        stream: Stream[P],
        state: State,
        commit: Commit,
        *,
        origin: Origin,
        clock: Clock,
        telemetry: StreamTelemetry,
        random: Random,
        credentials: Callable[[], object] = lambda: None,
        shards: Shards | None = None,
        transaction: TransactionSize | None = None,
        turn: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
        save_phase: float = 0.0,
    ) -> None:
        """`shards` are those of the stream, if it has several; all share the epoch. Each fetch is in a `turn`.

        `transaction` is kept for the worker of the next epoch. `save_phase` is that of `next_save`.
        """
        self._stream = stream
        self._state = state
        self._commit = commit
        self._origin = origin
        self._clock = clock
        self._telemetry = telemetry
        self._random = random
        self._credentials = credentials
        self._credentials_used: object = None
        self._save_phase = save_phase
        self._save_at = next_save(clock.now(), save_phase)
        """When the checkpoint is committed although nothing is new."""
        self._reject_rate = RejectRate()
        self._dead_letter_cap = DeadLetterCap()
        self._transaction = transaction or TransactionSize()
        self._turn = turn
        self._shards = shards or Shards.only(state, stream.zone, origin, stream.policy)
        self._progress = self._shards.progress
        self._progress_state: StreamProgress = "catching_up"
        self._gaps = Gaps()
        self._complete_from_ms = 0 if state.checkpoint is None else to_ms(state.checkpoint.watermark)
        """This worker has received every record that starts after this time: only there can a gap be recognized."""
        self._complete_after_sweep_from_ms = 0 if state.checkpoint is None else to_ms(state.checkpoint.final)
        """The value of `_complete_from_ms` once the first sweep is complete."""

    async def run(self, since: datetime | None) -> None:
        """Poll the stream until it is complete, or without end.

        A stream without state starts at `since`, by default now. Raises EpochEnded when nothing more can be committed.
        """
        await self._begin(since)
        try:
            await self._poll(Cursors(due=self._clock.now()))
        finally:
            with anyio.CancelScope(shield=True), suppress(EpochEnded):  # the commit has a deadline of its own
                await self._save_checkpoint()

    async def _begin(self, since: datetime | None) -> None:
        """Determine the checkpoint from which the stream continues, and commit it if it is new."""
        state, stream = self._state, self._stream
        joined = self._shards.joined(state.prefix, stream.selection)
        if state.checkpoint is None:
            start = since or self._clock.now()
            first = plan.first_checkpoint(start, stream.policy, stream.selection, str(stream.zone))
            await self._save(Batch(checkpoint=joined or first))
            self._telemetry.initialized(self._checkpoint)
        elif since is not None and state.checkpoint.since not in plan.starts(since, stream.policy):
            self._telemetry.since_ignored(since, state.checkpoint)
        if joined is not None and joined != self._checkpoint:
            self._telemetry.selection_changed(self._checkpoint, joined)
            await self._save(Batch(checkpoint=joined))
        for prefix in self._shards.retired(stream.selection):
            await self._commit([], {prefix.encode(): None})
            self._shards.retire(prefix)
        state.checkpoint = plan.aligned(self._checkpoint, stream.policy)
        self._progress.begin(state.prefix, self._checkpoint)
        await self._until_joined()

    async def _until_joined(self) -> None:
        """Return when all shards of the stream have joined the selection: until then none may advance."""
        reported_from = self._clock.now() + JOIN_TIME
        while others := self._shards.not_joined(self._stream.selection):
            if (now := self._clock.now()) >= reported_from:
                self._telemetry.waiting_for_shards(others, now)
            await self._clock.until(now + SECOND)
        if self._clock.now() >= reported_from:
            self._telemetry.shards_begun()

    async def _poll(self, cursors: Cursors) -> None:
        failures = 0
        while True:
            step = next_step(self._checkpoint, self._stream.policy, cursors, self._clock.now())
            match step:
                case Done():
                    break
                case Wait():
                    cursors = step.cursors
                    await self._wait(step)
                case Fetch():
                    failure: Exception | None = None
                    try:
                        async with self._turn():
                            cursors, failures = await self._process(step), 0
                    except EpochEnded:
                        raise
                    except Exception as error:  # noqa: BLE001 - a failing stream must not stop its neighbours
                        cursors, failure = step.cursors, error
                    if failure is not None:
                        failures = await self._handle(failure, step.window, failures)
        self._progress_state = "complete"
        await self._report_progress()
        self._telemetry.completed(self._checkpoint)

    async def _wait(self, step: Wait) -> None:
        """Wait until the next fetch is due, or until the checkpoint must be committed again.

        It is committed also when nothing has changed: the commit fails if an operator has rewound the stream meanwhile.
        """
        policy, self._progress_state = self._stream.policy, "live"
        if step.until - self._clock.now() > SECOND:  # the first pass of a process begins at the next whole second
            self._telemetry.idle()
        if is_due(self._save_at, self._clock.now()):
            await self._save(Batch(checkpoint=self._checkpoint))
        now, wake_at = self._clock.now(), self._save_at
        if not self._progress.is_reported(self._checkpoint, self._progress_state, self._state.prefix):
            wake_at = max(now + SECOND, wake_at)
        elif policy.interval > SAVE_INTERVAL:
            wake_at = now + policy.interval
        await self._clock.until(min(step.until, wake_at))

    async def _process(self, step: Fetch) -> Cursors:
        """Fetch a window, publish what is new in it, and advance the checkpoint. Returns the next cursors."""
        self._credentials_used = self._credentials()
        stream, started_at = self._stream, self._clock.now()
        requested_at, rows, largest, slowest_s = started_at, 0, 0, 0.0
        request = plan.request_window(step, self._checkpoint, stream.policy)
        if request.length:
            async with aclosing(fetch_whole(stream, request, self._telemetry)) as results:
                async for result in results:
                    requested_at = min(requested_at, result.vendor_now or requested_at)
                    rows, largest = rows + result.rows, max(largest, result.size)
                    slowest_s = max(slowest_s, result.took.total_seconds())
                    await self._publish(result, step, request, requested_at)
        checkpoint, cursors = plan.advanced(self._checkpoint, step, stream.policy, requested_at)
        self._state.checkpoint = plan.with_fitted_span(
            checkpoint, step.window, stream.policy, largest_bytes=largest, slowest_s=slowest_s
        )
        now, before = self._clock.now(), self._progress_state
        self._progress_state = state_after(before, self._checkpoint, cursors, stream.policy)
        if is_due(self._save_at, now) or before != self._progress_state == "live":
            await self._save_checkpoint()
        if stream.sequence_of is not None:
            self._report_gaps(is_sweep_complete=not step.is_live and cursors.sweep is None)
        took_s, is_behind = (now - started_at).total_seconds(), cursors.live is not None
        self._telemetry.polled(step.window, rows, took_s, self._checkpoint, behind=is_behind, now=now)
        return cursors

    async def _publish(self, result: FetchResult[P], step: Fetch, request: Window, requested_at: datetime) -> None:
        until, neighbour_start = self._stream.policy.until, self._shards.neighbour_start
        deduplicator: Deduplicator[P] = Deduplicator(
            self._state.ledger,
            since_ms=to_ms(self._checkpoint.since),
            until_ms=None if until is None else to_ms(until),
            final_s=self._state.final_s,
            requested_s=to_ms(self._clock.now()) // 1000,
            are_rejects_outside=neighbour_start is not None and step.window.start >= neighbour_start,
            elsewhere=self._shards.elsewhere,
        )
        await self._decode(result, deduplicator)
        if result.gone is not None:
            deduplicator.find_missing(result.gone, is_whole=result.is_whole)
        watermark = self._checkpoint.watermark
        context = Context(
            self._stream.dedup_mode, self._origin, request, requested_at, watermark, step.is_live, self._transaction
        )
        # Batches are made lazily and committed in order; records of equal key are always in the same batch.
        turn = Turn()
        async with self._shards.lock:  # what is new must not be published by another shard before it is committed
            stream = self._stream
            for batch in batches(deduplicator, stream.explode, context, stream.only_parts, stream.encode):
                if batch is None:
                    if turn.is_over():
                        await turn.end()
                    continue
                if self._dead_letter_cap.add(sum(batch.tally.dead_letters.values()), self._clock.now()):
                    raise self._format_changed(f"more than {MAX_DEAD_LETTERS} dead letters in one hour")
                await self._save_locked(batch)

    async def _decode(self, result: FetchResult[P], deduplicator: Deduplicator[P]) -> None:
        """Pass the rows to the deduplicator. Raises Park when too many of them cannot be decoded."""
        sequence_of = self._stream.sequence_of
        now, turn = self._clock.now(), Turn()
        self._reject_rate.begin_result()
        if result.sample is not None:  # first: a renamed field may be the reason why rows cannot be decoded
            self._telemetry.fields.sampled(result.sample)
        latest_ms = to_ms(max(now, result.vendor_now or now) + MAX_AHEAD)
        for found in result.records:
            if turn.is_over():
                await turn.end()
            if found is None:
                continue
            row = _unless_far_ahead(found, latest_ms)
            deduplicator.add_row(row)
            if sequence_of is not None and isinstance(row, Record):
                self._gaps.add(*sequence_of(row), row.start_ms)
            self._reject_rate.add(row, is_known=isinstance(row, Reject) and deduplicator.is_known(row))
            if self._reject_rate.rejects > MAX_DEAD_LETTERS:
                raise self._format_changed(f"more than {MAX_DEAD_LETTERS} rows are malformed")
        self._telemetry.fields.ignored(result.ignored)
        if (excess := self._reject_rate.take_excess()) is not None:
            raise self._format_changed(f"{excess[0]} of the last {excess[1]} rows are malformed")

    def _report_gaps(self, *, is_sweep_complete: bool) -> None:
        if is_sweep_complete:
            self._complete_from_ms = self._complete_after_sweep_from_ms
        settled_ms = to_ms(self._clock.now() - self._stream.policy.settle)
        lost = self._gaps.take_lost(self._complete_after_sweep_from_ms, to_ms(self._checkpoint.final))
        self._telemetry.missing_records(self._gaps.count_open(self._complete_from_ms, settled_ms), lost)

    async def _save(self, batch: Batch) -> None:
        """As `_save_locked`, when no other shard is publishing."""
        async with self._shards.lock:
            await self._save_locked(batch)

    async def _save_locked(self, batch: Batch) -> None:
        """Commit a batch.

        1. Commit the messages together with the changes to the state, and with a progress message if one is due.
        2. Apply the same changes to the state in memory.
        3. Count the records and events.
        """
        state, now = self._state, self._clock.now()
        if batch.checkpoint is None and batch.entries and state.checkpoint != state.durable:
            batch = structs.replace(batch, checkpoint=state.checkpoint)
        if batch.entries or batch.checkpoint is not None:
            # 1.
            checkpoint, progress = batch.checkpoint, None
            if checkpoint is not None:
                progress = self._progress.message(checkpoint, self._progress_state, now, state.prefix)
            messages = [*batch.messages, progress] if progress else batch.messages
            await self._commit(messages, state.pairs(batch))
            # 2.
            state.apply(batch)
            if checkpoint is not None:
                is_reported = progress is not None
                self._progress.committed(checkpoint, self._progress_state, now, state.prefix, reported=is_reported)
        # 3.
        now = self._clock.now()
        if batch.checkpoint is not None:
            self._save_at = next_save(now, self._save_phase)
        self._telemetry.committed(batch.tally, self._checkpoint, len(state.ledger), now)

    async def _save_checkpoint(self) -> None:
        """Commit the checkpoint if it has advanced since it was last committed."""
        if self._state.checkpoint != self._state.durable:
            await self._save(Batch(checkpoint=self._state.checkpoint))
        self._save_at = next_save(self._clock.now(), self._save_phase)

    async def _report_progress(self) -> None:
        """Commit the checkpoint if the last progress message of this epoch says something else.

        Also if the other shards do not know this state yet: it is the last commit of a complete one.
        """
        progress, state, shard = self._progress, self._progress_state, self._state.prefix
        if not (progress.is_known(state, shard) and progress.is_reported(self._checkpoint, state, shard)):
            await self._save(Batch(checkpoint=self._checkpoint))

    async def _handle(self, error: Exception, window: Window, failures: int) -> int:
        """Shorten the next window, or wait as the error requires. Returns the number of consecutive failures."""
        narrower = plan.with_half_span(self._checkpoint, window, self._stream.policy)
        if isinstance(error, Split):
            if narrower is not None:
                self._state.checkpoint = narrower
                self._telemetry.window_halved(window, str(error))
                return failures
            release_frames(error)
            advice = self._stream.narrowing_advice
            if error.code != "too_many_rows":
                advice = f"raise max_response_bytes, or {advice}"
            error = Park(f"the response to the smallest window is too large: {error}", code="too_large", advice=advice)
        elif isinstance(error, RetryLater) and error.narrower and narrower is not None:
            self._state.checkpoint = narrower
        await self._back_off(window, error, failures + 1)
        return failures + 1

    async def _back_off(self, window: Window, error: Exception, failures: int) -> None:
        """Report the error and wait. A parked stream waits longer, but stops waiting when its credentials change."""
        if failures >= MANY_FAILURES or not isinstance(error, RetryLater):
            self._progress_state = "catching_up"
            await self._report_progress()
        now, delay_s = self._clock.now(), backoff.delay_after_s(error, failures, self._random.random())
        self._telemetry.interrupted(window, error, failures=failures, delay_s=delay_s, now=now)
        release_frames(error)
        if isinstance(error, RetryLater):
            await self._clock.until(now + timedelta(seconds=delay_s))
            return
        remaining = timedelta(seconds=delay_s)
        while remaining > timedelta(0) and self._credentials() == self._credentials_used:
            await self._clock.until(self._clock.now() + min(remaining, CREDENTIALS_CHECK_INTERVAL))
            remaining -= CREDENTIALS_CHECK_INTERVAL

    def _format_changed(self, reason: str) -> Park:
        text, advice = f"{reason}, for example: {self._reject_rate.last_error}", self._stream.format_advice
        return Park(text, code="format_changed", advice=advice)

    @property
    def _checkpoint(self) -> Checkpoint:
        if self._state.checkpoint is None:
            raise AssertionError("the first checkpoint is durable before anything is fetched")
        return self._state.checkpoint


def _unless_far_ahead(row: Record[P] | Reject, latest_ms: int) -> Record[P] | Reject:
    """The row, or a reject if it is a record that starts after `latest_ms`, Unix time in milliseconds."""
    if isinstance(row, Reject) or row.start_ms <= latest_ms:
        return row
    return Reject(msgspec.json.encode(row.payload), FAR_AHEAD)
