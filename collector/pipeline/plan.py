"""Where a stream looks next, and how far an answer takes it.

    live:   every `interval`, ask from the watermark up to now, window by window, oldest first
    sweep:  every `sweep_every`, ask from `final` up to the watermark, window by window
    both pending: take turns, live first

Late records are found because `final` moves only over instants that were asked about after their allowed lateness, and
every sweep begins at `final`. Nothing here depends on how long anything takes or how often a process dies: what must
survive is in the head, and the cursors may be lost at any time.
"""

from datetime import datetime, timedelta

from msgspec import Struct, structs

from collector.alignment import MIN_SPAN, Alignment
from collector.instants import SECOND, floor_second
from collector.model import Checkpoint, Policy, Window

TARGET_RESPONSE_BYTES = 4 << 20
"""What an answer should weigh: requests do not dominate, and it decodes in a tenth of a second."""
FAST_S = 10.0
"""An answer that took longer is not asked to grow."""


class Pass(Struct, frozen=True):
    """One walk over `[next, end)`, window by window, that began at `began`."""

    next: datetime
    end: datetime
    began: datetime


class Cursors(Struct, frozen=True):
    """Where the present passes are. In memory only: after a restart both begin anew from the head."""

    due: datetime
    """When the next live pass begins."""
    live: Pass | None = None
    sweep: Pass | None = None
    sweep_is_next: bool = False


class Fetch(Struct, frozen=True):
    """Ask for this window; then `closed` says how far that takes the stream."""

    window: Window
    live: bool
    cursors: Cursors
    """The cursors before the answer, with the passes that were begun for it."""


class Wait(Struct, frozen=True):
    until: datetime
    cursors: Cursors


class Done(Struct, frozen=True):
    """The stream has an `until`, and nothing before it can still appear."""


def first_checkpoint(since: datetime, policy: Policy, selection: str = "") -> Checkpoint:
    """The head of a stream that was never seen, committed before its first request."""
    alignment = policy.alignment
    since = floor_second(since) if alignment.floor(since) == floor_second(since) else alignment.after(since)
    return Checkpoint(
        since, since, since, span=min(policy.span, timedelta(hours=1)), swept_at=since, selection=selection
    )


def last_instant(policy: Policy) -> datetime | None:
    """Where a bounded stream stops looking.

    A record that starts just before `until` may end, and so be selected by its end, up to the allowed lateness later.
    On an exact grid it is in the window that begins before `until`.
    """
    if policy.until is None:
        return None
    if policy.alignment.is_exact:
        return policy.alignment.after(policy.until - SECOND)
    return policy.until + policy.allowed_lateness


def aligned(checkpoint: Checkpoint, policy: Policy) -> Checkpoint:
    """The head, not after where it was, where a stream whose grid was changed can go on from."""
    watermark, final = policy.alignment.floor(checkpoint.watermark), policy.alignment.floor(checkpoint.final)
    return structs.replace(checkpoint, watermark=max(watermark, checkpoint.since), final=max(final, checkpoint.since))


def next_step(checkpoint: Checkpoint, policy: Policy, cursors: Cursors, now: datetime) -> Wait | Fetch | Done:
    now, alignment = floor_second(now), policy.alignment
    last = last_instant(policy)
    if last is not None and _is_complete(checkpoint, policy, last):
        return Done()
    target = alignment.floor(now) if last is None else min(alignment.floor(now), last)
    # Further away than an interval is only what was planned while the clock was ahead.
    cursors = structs.replace(cursors, due=min(cursors.due, now + policy.interval))
    live, sweep = cursors.live, cursors.sweep
    if live is None and now >= cursors.due and checkpoint.watermark < target:
        live = Pass(checkpoint.watermark, target, now)
    if sweep is None and now - checkpoint.swept_at >= policy.sweep_every and checkpoint.final < checkpoint.watermark:
        sweep = Pass(checkpoint.final, checkpoint.watermark, now)
    cursors = structs.replace(cursors, live=live, sweep=sweep)
    if sweep is not None and (live is None or cursors.sweep_is_next):
        return Fetch(
            _window(min(max(sweep.next, checkpoint.final), sweep.end), checkpoint, alignment, sweep),
            live=False,
            cursors=cursors,
        )
    if live is not None:
        return Fetch(_window(live.next, checkpoint, alignment, live), live=True, cursors=cursors)
    looks = (
        [max(cursors.due, alignment.after(checkpoint.watermark))] if last is None or checkpoint.watermark < last else []
    )
    if checkpoint.final < checkpoint.watermark:
        looks.append(checkpoint.swept_at + policy.sweep_every)
    return Wait(max(min(looks, default=now), now + SECOND), cursors)


def _is_complete(checkpoint: Checkpoint, policy: Policy, last: datetime) -> bool:
    if policy.alignment.is_exact:
        return checkpoint.final >= last
    return checkpoint.final >= last - policy.allowed_lateness and min(checkpoint.watermark, checkpoint.swept_at) >= last


def _window(start: datetime, checkpoint: Checkpoint, alignment: Alignment, walk: Pass) -> Window:
    """As long as the span allows, but never less than the grid does."""
    return Window(start, min(max(alignment.floor(start + checkpoint.span), alignment.min_end(start)), walk.end))


def request_window(window: Window, checkpoint: Checkpoint, policy: Policy) -> Window:
    """What is asked for, so that the window is covered: it begins one second earlier, but never before `final`.

    On an exact grid it is the window itself. Elsewhere, times are asked for in whole seconds, and an end may be
    inclusive or not, as may a begin that is compared with records' ends; so nothing is lost between windows, and equal
    rows of one second are together in some answer.
    """
    if policy.alignment.is_exact:
        return window
    earliest = checkpoint.since - SECOND if checkpoint.final == checkpoint.since else checkpoint.final
    return Window(max(earliest, window.start - SECOND), window.end)


def advanced(checkpoint: Checkpoint, step: Fetch, policy: Policy, requested_at: datetime) -> tuple[Checkpoint, Cursors]:
    """Head and cursors after every answer of the window, asked for at `asked_at`, was published."""
    window, alignment = step.window, policy.alignment
    margin = timedelta(0) if alignment.is_exact else SECOND
    watermark, final = checkpoint.watermark, checkpoint.final
    if step.live:
        watermark = max(watermark, min(window.end, alignment.floor(requested_at - policy.settle)))
    if window.start - margin <= final:
        final = max(final, min(window.end - margin, alignment.floor(requested_at - policy.allowed_lateness)))
    checkpoint = structs.replace(checkpoint, watermark=watermark, final=min(final, watermark))
    live, sweep, due, swept_at = step.cursors.live, step.cursors.sweep, step.cursors.due, checkpoint.swept_at
    if step.live and live is not None:
        live, due = (None, live.began + policy.interval) if window.end >= live.end else (_on(live, window.end), due)
    elif sweep is not None:
        sweep, swept_at = (None, sweep.began) if window.end >= sweep.end else (_on(sweep, window.end), swept_at)
    return structs.replace(checkpoint, swept_at=swept_at), Cursors(due, live, sweep, sweep_is_next=step.live)


def _on(walk: Pass, instant: datetime) -> Pass:
    return structs.replace(walk, next=instant)


def with_fitted_span(
    checkpoint: Checkpoint, window: Window, policy: Policy, *, largest_bytes: int, slowest_s: float
) -> Checkpoint:
    """The head with a span that aims at answers of `AIM_BYTES`, judged by the largest answer to this window."""
    span = checkpoint.span
    if largest_bytes > 2 * TARGET_RESPONSE_BYTES:
        span = max(MIN_SPAN, window.length / 2)
    elif (
        largest_bytes < TARGET_RESPONSE_BYTES / 2
        and slowest_s < FAST_S
        and policy.alignment.floor(window.start + span) <= window.end
    ):
        span = span * 2
    return structs.replace(checkpoint, span=_whole(min(span, policy.span)))


def with_half_span(checkpoint: Checkpoint, window: Window, policy: Policy) -> Checkpoint | None:
    """The head that asks for the window's first half, or None when it is too short to be halved."""
    if policy.alignment.min_end(window.start) >= window.end:
        return None
    return structs.replace(checkpoint, span=_whole(max(MIN_SPAN, min(checkpoint.span, window.length) / 2)))


def _whole(span: timedelta) -> timedelta:
    return max(MIN_SPAN, timedelta(seconds=span // SECOND))
