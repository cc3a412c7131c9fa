"""The loop of one stream: ask, sift, commit, go on. Start reading here.

What is new is decided just before the commit, in order; what was committed is known only after it. Whatever fails, the
head stays where it was and the same window is asked for again; what was adopted stays, and is recognised.
"""

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any, Generic, TypeVar

import anyio
from msgspec import structs

from collector.clock import Clock
from collector.cloudevents import Message
from collector.errors import EpochEnded, Park, RetryLater, Split
from collector.instants import SECOND, floor_second, to_ms
from collector.model import Checkpoint, FetchResult, Record, Reject, Window
from collector.pipeline import plan
from collector.pipeline.batch import Batch, Context, batches
from collector.pipeline.gaps import Gaps
from collector.pipeline.ledger import Deduplicator
from collector.pipeline.message import Origin
from collector.pipeline.plan import Cursors, Done, Fetch, Wait, next_step
from collector.pipeline.state import State
from collector.telemetry.stream import StreamTelemetry
from collector.vendors import backoff
from collector.vendors.base import Stream

P = TypeVar("P")
Commit = Callable[[Sequence[Message], Mapping[bytes, bytes | None]], Awaitable[None]]
"""Returned: durable, all of it. Raised EpochEnded: perhaps durable, and whoever called begins anew from what is."""

ROWS_PER_SLICE = 500
"""Rows between two looks at the rest of the process: some ten milliseconds, so heartbeats never wait for an answer."""
MAX_ROWS = 50_000
"""Of one answer, however small they are: each costs memory and time of its own."""
SAVE_INTERVAL = timedelta(minutes=2)
"""How often the head is made durable by itself: after a crash, that much is asked again, and recognised."""
RECENT_ROWS, MAX_REJECT_SHARE, MIN_REJECTS = 1000, 0.1, 20
"""More than a tenth of a stream's last thousand rows, and at least twenty, malformed: the vendor changed its format."""
CREDENTIALS_CHECK_INTERVAL = timedelta(seconds=3)
"""How soon a stream that is parked tries again once its key was changed: whoever changed it is looking."""


class Worker(Generic[P]):
    """One stream in one epoch."""

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
    ) -> None:
        self._stream = stream
        self._state = state
        self._commit = commit
        self._origin = origin
        self._clock = clock
        self._telemetry = telemetry
        self._random = random
        self._credentials = credentials
        self._credentials_used: object = None
        self._checkpoint_saved_at = clock.now()
        self._recent: deque[bool] = deque(maxlen=RECENT_ROWS)
        self._gaps = Gaps()
        self._live_from_ms = 0 if state.checkpoint is None else to_ms(state.checkpoint.watermark)
        self._final_from_ms = 0 if state.checkpoint is None else to_ms(state.checkpoint.final)
        """This worker asked for all from the one on, and, once it has swept or `final` got there, from the other on."""

    async def run(self, since: datetime | None) -> None:
        """Poll the stream until it is complete, or for ever; begin it at `since` (now) if it was never seen."""
        state, policy = self._state, self._stream.policy
        if state.checkpoint is None:
            begin = since or self._clock.now()
            await self._save(Batch(checkpoint=plan.first_checkpoint(begin, policy, self._stream.selection)))
            self._telemetry.initialized(self._checkpoint)
        elif since is not None and floor_second(since) != state.checkpoint.since:
            self._telemetry.since_ignored(since, state.checkpoint)
        if self._checkpoint.selection != self._stream.selection:
            self._telemetry.selection_changed(self._checkpoint)
            state.checkpoint = structs.replace(self._checkpoint, selection=self._stream.selection)
        state.checkpoint = plan.aligned(self._checkpoint, policy)
        try:
            await self._poll(Cursors(due=self._clock.now()))
        finally:
            with anyio.CancelScope(shield=True), suppress(EpochEnded):  # the commit has its own deadline
                await self._save_checkpoint()

    async def _poll(self, cursors: Cursors) -> None:
        failures = 0
        while not isinstance(
            step := next_step(self._checkpoint, self._stream.policy, cursors, self._clock.now()), Done
        ):
            cursors = step.cursors
            if isinstance(step, Wait):
                await self._wait(step)
                continue
            try:
                cursors = await self._process(step)
                failures = 0
                continue
            except Split as trouble:
                if (checkpoint := plan.with_half_span(self._checkpoint, step.window, self._stream.policy)) is not None:
                    self._state.checkpoint = checkpoint
                    self._telemetry.window_halved(step.window, str(trouble))
                    continue
                bounds, after_s = backoff.PARKED, 0.0
                advice = "it is the smallest window: raise max_response_bytes, or make several sources with device_ids"
                error: Exception = Park(f"the answer to one minute is too large: {trouble}", advice=advice)
            except RetryLater as trouble:
                bounds, after_s, error = backoff.PASSING, trouble.after_s, trouble
                if trouble.narrower:
                    self._state.checkpoint = (
                        plan.with_half_span(self._checkpoint, step.window, self._stream.policy) or self._checkpoint
                    )
            except EpochEnded:
                raise
            except Exception as trouble:  # noqa: BLE001 - one stream's trouble never stops another's
                bounds, after_s, error = backoff.PARKED, 0.0, trouble
            failures += 1
            await self._back_off(
                step.window, error, failures, backoff.delay_s(failures, bounds, self._random.random(), at_least=after_s)
            )
        await self._save_checkpoint()
        self._telemetry.completed(self._checkpoint)

    async def _wait(self, step: Wait) -> None:
        """Until there is something to ask for, or not so long that whoever rewinds the stream is heard late."""
        policy = self._stream.policy
        if step.until - self._clock.now() > policy.interval:
            self._telemetry.idle()
        if self._clock.now() - self._checkpoint_saved_at >= SAVE_INTERVAL:
            await self._save(
                Batch(checkpoint=self._checkpoint)
            )  # also as it is: who rewound it is heard, and fences us
        await self._clock.until(min(step.until, self._clock.now() + max(SAVE_INTERVAL, policy.interval)))

    async def _process(self, step: Fetch) -> Cursors:
        """Ask for a window, publish what is new in it, and close it: head and cursors move on."""
        self._credentials_used = self._credentials()
        stream, began = self._stream, self._clock.now()
        requested_at, rows, largest, slowest_s = began, 0, 0, 0.0
        request = plan.request_window(step.window, self._checkpoint, stream.policy)
        if request.length:
            async with aclosing(self._fetch(request)) as results:
                async for result in results:
                    requested_at = min(requested_at, result.vendor_now or requested_at)
                    rows, largest = rows + result.rows, max(largest, result.size)
                    slowest_s = max(slowest_s, result.took.total_seconds())
                    await self._publish(result, request, requested_at, live=step.live)
        checkpoint, cursors = plan.advanced(self._checkpoint, step, stream.policy, requested_at)
        checkpoint = plan.with_fitted_span(
            checkpoint, step.window, stream.policy, largest_bytes=largest, slowest_s=slowest_s
        )
        self._state.checkpoint = checkpoint
        now = self._clock.now()
        if now - self._checkpoint_saved_at >= SAVE_INTERVAL:
            await self._save_checkpoint()
        if stream.sequence_of is not None:
            self._report_gaps(swept=not step.live and cursors.sweep is None)
        behind = cursors.live is not None
        self._telemetry.polled(
            step.window, rows, (now - began).total_seconds(), self._checkpoint, behind=behind, now=now
        )
        return cursors

    async def _fetch(self, request: Window) -> AsyncGenerator[FetchResult[P], None]:
        """The answers to a request, or to its halves where a round number of rows turns out to be a silent cap.

        On an exact grid the number of rows is that of its periods, and round by nature.
        """
        capped: list[FetchResult[P]] = []
        alignment = self._stream.policy.alignment
        async with aclosing(self._stream.fetch(request)) as results:
            async for result in results:
                margin = timedelta(0) if alignment.is_exact else SECOND
                halvable = request.end > alignment.min_end(request.start + margin)
                if halvable and result.rows > MAX_ROWS:
                    raise Split(f"an answer of {result.rows} rows")
                if alignment.is_exact or not looks_capped(result.rows):
                    yield result
                elif halvable:
                    raise Split(f"exactly {result.rows} rows, which looks like a cap")
                else:
                    capped.append(_materialized(result))
        for result in capped:  # asked for again only now, when no other answer of ours takes memory
            halves = [half async for half in self._halves(request)]
            if _distinct(halves) > _distinct([result]):
                for half in halves:
                    yield half
            else:
                self._telemetry.cap_suspected(request, result.rows)
                yield result

    async def _halves(self, request: Window) -> AsyncGenerator[FetchResult[P], None]:
        if request.length <= 3 * SECOND:  # a half with its second of overlap would be no shorter
            return
        middle = floor_second(request.start + request.length / 2)
        for half in (Window(request.start, middle), Window(middle - SECOND, request.end)):
            async with aclosing(self._fetch(half)) as results:
                async for result in results:
                    yield _materialized(result)

    async def _publish(self, result: FetchResult[P], request: Window, requested_at: datetime, *, live: bool) -> None:
        until = self._stream.policy.until
        deduplicator: Deduplicator[P] = self._state.ledger.deduplicator(
            since_ms=to_ms(self._checkpoint.since),
            until_ms=None if until is None else to_ms(until),
            final_s=self._state.final_s,
            requested_s=to_ms(self._clock.now()) // 1000,
        )
        await self._read(result, deduplicator)
        if result.gone is not None:
            deduplicator.miss(result.gone, is_whole=result.is_whole)
        context = Context(
            self._stream.dedup_mode, self._origin, request, requested_at, self._checkpoint.watermark, live
        )
        # What of it is new is decided batch by batch, in order; equal keys are in one batch.
        for batch in batches(deduplicator, self._stream.explode, context):
            await anyio.lowlevel.checkpoint()
            await self._save(batch)

    async def _read(self, result: FetchResult[P], deduplicator: Deduplicator[P]) -> None:
        """Decode the answer into the sieve, with a look at the rest of the process between the slices."""
        records = iter(result.records)
        sample: Reject | None = None
        sequence_of = self._stream.sequence_of
        while rows := list(islice(records, ROWS_PER_SLICE)):
            deduplicator.add(rows)
            if sequence_of is not None:
                for row in rows:
                    if isinstance(row, Record):
                        self._gaps.see(*sequence_of(row), row.start_ms)
            self._recent.extend(isinstance(row, Reject) for row in rows)
            sample = next((row for row in rows if isinstance(row, Reject)), sample)
            await anyio.lowlevel.checkpoint()
        rejects, count = sum(self._recent), len(self._recent)
        if sample is not None and rejects >= MIN_REJECTS and rejects > MAX_REJECT_SHARE * count:
            self._recent.clear()
            raise Park(
                f"{rejects} of the last {count} rows are malformed, e.g.: {sample.error}",
                advice="the vendor seems to have changed its format: a newer version of the collector may know it",
            )

    def _report_gaps(self, *, swept: bool) -> None:
        if swept:
            self._live_from_ms = self._final_from_ms
        settled_ms = to_ms(self._clock.now() - self._stream.policy.settle)
        lost = self._gaps.lost(self._final_from_ms, to_ms(self._checkpoint.final))
        self._telemetry.missing_records(self._gaps.open(self._live_from_ms, settled_ms), lost)

    async def _save(self, batch: Batch) -> None:
        """Commit, then take over, then count."""
        state = self._state
        if batch.checkpoint is None and batch.entries and state.checkpoint != state.durable:
            batch = structs.replace(batch, checkpoint=state.checkpoint)
        if batch.entries or batch.checkpoint is not None:
            await self._commit(batch.messages, state.pairs(batch))
            state.after(batch)
        now = self._clock.now()
        if batch.checkpoint is not None:
            self._checkpoint_saved_at = now
        self._telemetry.committed(batch.tally, self._checkpoint, len(state.ledger), now)

    async def _save_checkpoint(self) -> None:
        if self._state.checkpoint != self._state.durable:
            await self._save(Batch(checkpoint=self._state.checkpoint))
        self._checkpoint_saved_at = self._clock.now()

    async def _back_off(self, window: Window, error: Exception, failures: int, delay_s: float) -> None:
        now = self._clock.now()
        match error:
            case RetryLater():
                self._telemetry.retrying(window, str(error), failures=failures, delay_s=delay_s, now=now)
            case Park():
                self._telemetry.parked(window, error, failures=failures, delay_s=delay_s, now=now)
            case _:
                self._telemetry.failed(window, error, failures=failures, delay_s=delay_s, now=now)
        left = timedelta(seconds=delay_s)
        if isinstance(error, RetryLater):
            await self._clock.until(now + left)
            return
        while left > timedelta(0) and self._credentials() == self._credentials_used:
            await self._clock.until(self._clock.now() + min(left, CREDENTIALS_CHECK_INTERVAL))
            left -= CREDENTIALS_CHECK_INTERVAL

    @property
    def _checkpoint(self) -> Checkpoint:
        if self._state.checkpoint is None:
            raise AssertionError("the first head is durable before anything is asked")
        return self._state.checkpoint


def looks_capped(rows: int) -> bool:
    """Whether a number of rows is so round that the vendor may have cut the answer: 1000, 2000, 5000, 10000, ..."""
    return rows >= 1000 and str(rows).rstrip("0") in ("1", "2", "5")  # noqa: PLR2004 - smaller ones come by chance


def _materialized(result: FetchResult[P]) -> FetchResult[P]:
    return structs.replace(result, records=tuple(result.records))


def _distinct(results: Sequence[FetchResult[Any]]) -> int:
    return len({row.payload if isinstance(row, Reject) else row.key for result in results for row in result.records})
