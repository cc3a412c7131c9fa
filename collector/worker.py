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
from collector.errors import EpochEnded, Park, RetryLater, Split
from collector.model import SECOND, Answer, Head, Message, Record, Reject, Window, floor_second
from collector.pipeline import plan
from collector.pipeline.batch import Batch, Context, batches
from collector.pipeline.gaps import Gaps
from collector.pipeline.ledger import Sieve
from collector.pipeline.message import Origin
from collector.pipeline.plan import Ask, Cursors, Done, Wait, next_step
from collector.pipeline.state import State
from collector.rfc3339 import to_ms
from collector.telemetry.stream import StreamTelemetry
from collector.vendors import backoff
from collector.vendors.base import Stream

P = TypeVar("P")
Commit = Callable[[Sequence[Message], Mapping[bytes, bytes | None]], Awaitable[None]]
"""Returned: durable, all of it. Raised EpochEnded: perhaps durable, and whoever called begins anew from what is."""

SLICE = 500
"""Rows between two looks at the rest of the process: some ten milliseconds, so heartbeats never wait for an answer."""
MOST_ROWS = 50_000
"""Of one answer, however small they are: each costs memory and time of its own."""
HEAD_EVERY = timedelta(minutes=2)
"""How often the head is made durable by itself: after a crash, that much is asked again, and recognised."""
RECENT_ROWS, MOST_REJECTS, FEWEST_REJECTS = 1000, 0.1, 20
"""More than a tenth of a stream's last thousand rows, and at least twenty, malformed: the vendor changed its format."""
LOOK_AGAIN = timedelta(seconds=3)
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
        tell: StreamTelemetry,
        random: Random,
        credentials: Callable[[], object] = lambda: None,
    ) -> None:
        self._stream = stream
        self._state = state
        self._commit = commit
        self._origin = origin
        self._clock = clock
        self._tell = tell
        self._random = random
        self._credentials = credentials
        self._asked_with: object = None
        self._head_durable_at = clock.now()
        self._recent: deque[bool] = deque(maxlen=RECENT_ROWS)
        self._gaps = Gaps()
        self._live_from_ms = 0 if state.head is None else to_ms(state.head.watermark)
        self._final_from_ms = 0 if state.head is None else to_ms(state.head.final)
        """This worker asked for all from the one on, and, once it has swept or `final` got there, from the other on."""

    async def follow(self, since: datetime | None) -> None:
        """Poll the stream until it is complete, or for ever; begin it at `since` (now) if it was never seen."""
        state, policy = self._state, self._stream.policy
        if state.head is None:
            begin = since or self._clock.now()
            await self._adopt(Batch(head=plan.first_head(begin, policy, self._stream.selection)))
            self._tell.begun(self._head)
        elif since is not None and floor_second(since) != state.head.since:
            self._tell.since_ignored(since, state.head)
        if self._head.selection != self._stream.selection:
            self._tell.selection_changed(self._head)
            state.head = structs.replace(self._head, selection=self._stream.selection)
        state.head = plan.on_grid(self._head, policy)
        try:
            await self._poll(Cursors(due=self._clock.now()))
        finally:
            with anyio.CancelScope(shield=True), suppress(EpochEnded):  # the commit has its own deadline
                await self._save_head()

    async def _poll(self, cursors: Cursors) -> None:
        failures = 0
        while not isinstance(step := next_step(self._head, self._stream.policy, cursors, self._clock.now()), Done):
            cursors = step.cursors
            if isinstance(step, Wait):
                await self._wait(step)
                continue
            try:
                cursors = await self._take(step)
                failures = 0
                continue
            except Split as trouble:
                if (head := plan.halved(self._head, step.window, self._stream.policy)) is not None:
                    self._state.head = head
                    self._tell.narrowed(step.window, str(trouble))
                    continue
                bounds, after_s = backoff.PARKED, 0.0
                advice = "it is the smallest window: raise max_response_bytes, or make several sources with device_ids"
                error: Exception = Park(f"the answer to one minute is too large: {trouble}", advice=advice)
            except RetryLater as trouble:
                bounds, after_s, error = backoff.PASSING, trouble.after_s, trouble
                if trouble.narrower:
                    self._state.head = plan.halved(self._head, step.window, self._stream.policy) or self._head
            except EpochEnded:
                raise
            except Exception as trouble:  # noqa: BLE001 - one stream's trouble never stops another's
                bounds, after_s, error = backoff.PARKED, 0.0, trouble
            failures += 1
            await self._back_off(
                step.window, error, failures, backoff.delay_s(failures, bounds, self._random.random(), at_least=after_s)
            )
        await self._save_head()
        self._tell.completed(self._head)

    async def _wait(self, step: Wait) -> None:
        """Until there is something to ask for, or not so long that whoever rewinds the stream is heard late."""
        policy = self._stream.policy
        if step.until - self._clock.now() > policy.interval:
            self._tell.idle()
        if self._clock.now() - self._head_durable_at >= HEAD_EVERY:
            await self._adopt(Batch(head=self._head))  # also as it is: who rewound it is heard, and fences us
        await self._clock.until(min(step.until, self._clock.now() + max(HEAD_EVERY, policy.interval)))

    async def _take(self, step: Ask) -> Cursors:
        """Ask for a window, publish what is new in it, and close it: head and cursors move on."""
        self._asked_with = self._credentials()
        stream, began = self._stream, self._clock.now()
        asked_at, rows, largest, slowest_s = began, 0, 0, 0.0
        request = plan.asked(step.window, self._head, stream.policy)
        if request.length:
            async with aclosing(self._whole(request)) as answers:
                async for answer in answers:
                    asked_at = min(asked_at, answer.vendor_now or asked_at)
                    rows, largest = rows + answer.rows, max(largest, answer.size)
                    slowest_s = max(slowest_s, answer.took.total_seconds())
                    await self._publish(answer, request, asked_at, live=step.live)
        head, cursors = plan.closed(self._head, step, stream.policy, asked_at)
        head = plan.fitted(head, step.window, stream.policy, largest_bytes=largest, slowest_s=slowest_s)
        self._state.head = head
        now = self._clock.now()
        if now - self._head_durable_at >= HEAD_EVERY:
            await self._save_head()
        if stream.numbered is not None:
            self._tell_of_gaps(swept=not step.live and cursors.sweep is None)
        behind = cursors.live is not None
        self._tell.polled(step.window, rows, (now - began).total_seconds(), self._head, behind=behind, now=now)
        return cursors

    async def _whole(self, request: Window) -> AsyncGenerator[Answer[P], None]:
        """The answers to a request, or to its halves where a round number of rows turns out to be a silent cap.

        On an exact grid the number of rows is that of its periods, and round by nature.
        """
        capped: list[Answer[P]] = []
        grid = self._stream.policy.grid
        async with aclosing(self._stream.ask(request)) as answers:
            async for answer in answers:
                margin = timedelta(0) if grid.is_exact else SECOND
                halvable = request.end > grid.least(request.start + margin)
                if halvable and answer.rows > MOST_ROWS:
                    raise Split(f"an answer of {answer.rows} rows")
                if grid.is_exact or not looks_capped(answer.rows):
                    yield answer
                elif halvable:
                    raise Split(f"exactly {answer.rows} rows, which looks like a cap")
                else:
                    capped.append(_held(answer))
        for answer in capped:  # asked for again only now, when no other answer of ours takes memory
            halves = [half async for half in self._halves(request)]
            if _distinct(halves) > _distinct([answer]):
                for half in halves:
                    yield half
            else:
                self._tell.perhaps_capped(request, answer.rows)
                yield answer

    async def _halves(self, request: Window) -> AsyncGenerator[Answer[P], None]:
        if request.length <= 3 * SECOND:  # a half with its second of overlap would be no shorter
            return
        middle = floor_second(request.start + request.length / 2)
        for half in (Window(request.start, middle), Window(middle - SECOND, request.end)):
            async with aclosing(self._whole(half)) as answers:
                async for answer in answers:
                    yield _held(answer)

    async def _publish(self, answer: Answer[P], request: Window, asked_at: datetime, *, live: bool) -> None:
        until = self._stream.policy.until
        sieve: Sieve[P] = self._state.ledger.sieve(
            since_ms=to_ms(self._head.since),
            until_ms=None if until is None else to_ms(until),
            final_s=self._state.final_s,
            asked_s=to_ms(self._clock.now()) // 1000,
        )
        await self._read(answer, sieve)
        if answer.gone is not None:
            sieve.miss(answer.gone, is_whole=answer.is_whole)
        context = Context(self._stream.memory, self._origin, request, asked_at, self._head.watermark, live)
        # What of it is new is decided batch by batch, in order; equal keys are in one batch.
        for batch in batches(sieve, self._stream.explode, context):
            await anyio.lowlevel.checkpoint()
            await self._adopt(batch)

    async def _read(self, answer: Answer[P], sieve: Sieve[P]) -> None:
        """Decode the answer into the sieve, with a look at the rest of the process between the slices."""
        records = iter(answer.records)
        sample: Reject | None = None
        numbered = self._stream.numbered
        while rows := list(islice(records, SLICE)):
            sieve.add(rows)
            if numbered is not None:
                for row in rows:
                    if isinstance(row, Record):
                        self._gaps.see(*numbered(row), row.start_ms)
            self._recent.extend(isinstance(row, Reject) for row in rows)
            sample = next((row for row in rows if isinstance(row, Reject)), sample)
            await anyio.lowlevel.checkpoint()
        rejects, count = sum(self._recent), len(self._recent)
        if sample is not None and rejects >= FEWEST_REJECTS and rejects > MOST_REJECTS * count:
            self._recent.clear()
            raise Park(
                f"{rejects} of the last {count} rows are malformed, e.g.: {sample.error}",
                advice="the vendor seems to have changed its format: a newer version of the collector may know it",
            )

    def _tell_of_gaps(self, *, swept: bool) -> None:
        if swept:
            self._live_from_ms = self._final_from_ms
        settled_ms = to_ms(self._clock.now() - self._stream.policy.settle)
        lost = self._gaps.lost(self._final_from_ms, to_ms(self._head.final))
        self._tell.missing(self._gaps.open(self._live_from_ms, settled_ms), lost)

    async def _adopt(self, batch: Batch) -> None:
        """Commit, then take over, then count."""
        state = self._state
        if batch.head is None and batch.entries and state.head != state.durable:
            batch = structs.replace(batch, head=state.head)
        if batch.entries or batch.head is not None:
            await self._commit(batch.messages, state.pairs(batch))
            state.after(batch)
        now = self._clock.now()
        if batch.head is not None:
            self._head_durable_at = now
        self._tell.committed(batch.tally, self._head, len(state.ledger), now)

    async def _save_head(self) -> None:
        if self._state.head != self._state.durable:
            await self._adopt(Batch(head=self._state.head))
        self._head_durable_at = self._clock.now()

    async def _back_off(self, window: Window, error: Exception, failures: int, delay_s: float) -> None:
        now = self._clock.now()
        match error:
            case RetryLater():
                self._tell.retrying(window, str(error), failures=failures, delay_s=delay_s, now=now)
            case Park():
                self._tell.parked(window, error, failures=failures, delay_s=delay_s, now=now)
            case _:
                self._tell.failed(window, error, failures=failures, delay_s=delay_s, now=now)
        left = timedelta(seconds=delay_s)
        if isinstance(error, RetryLater):
            await self._clock.until(now + left)
            return
        while left > timedelta(0) and self._credentials() == self._asked_with:
            await self._clock.until(self._clock.now() + min(left, LOOK_AGAIN))
            left -= LOOK_AGAIN

    @property
    def _head(self) -> Head:
        if self._state.head is None:
            raise AssertionError("the first head is durable before anything is asked")
        return self._state.head


def looks_capped(rows: int) -> bool:
    """Whether a number of rows is so round that the vendor may have cut the answer: 1000, 2000, 5000, 10000, ..."""
    return rows >= 1000 and str(rows).rstrip("0") in ("1", "2", "5")  # noqa: PLR2004 - smaller ones come by chance


def _held(answer: Answer[P]) -> Answer[P]:
    return structs.replace(answer, records=tuple(answer.records))


def _distinct(answers: Sequence[Answer[Any]]) -> int:
    return len({row.payload if isinstance(row, Reject) else row.key for answer in answers for row in answer.records})
