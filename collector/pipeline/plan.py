"""Decides what a stream fetches next, and how far each completed window advances its checkpoint. Pure.

    live pass:   every `interval`, from the watermark to now, window by window, oldest first
    sweep pass:  every `sweep_every`, from `final` to the watermark, window by window
    both due:    they alternate, live first

Late records are found because `final` moves only past instants that were fetched after their allowed lateness, and
every sweep starts at `final`. This holds however long a step takes and however often the process ends: all that must
survive is in the checkpoint, and the cursors may be lost at any time.

With an exact alignment, a live pass fetches only periods that ended `settle` ago. The watermark then moves to the end
of the window, and no live pass requests a period twice. See docs/decisions/0022.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct, structs

from collector.alignment import MIN_SPAN, NO_TIME
from collector.instants import SECOND, floor_second
from collector.model import Checkpoint, Policy, Window

TARGET_RESPONSE_BYTES = 4 << 20
"""The response size to aim for: large enough that requests do not dominate, decoded in a tenth of a second."""
FAST_S = 10.0
"""Windows do not grow when a response took longer than this."""
CLOCK_TOLERANCE = timedelta(minutes=1)
"""How far the vendor's clock may be behind without a period being fetched twice. Clocks that are set by NTP differ by
less than a second, but vendors write theirs in whole seconds."""


class Pass(Struct, frozen=True):
    """One pass over `[next, end)`, window by window, that started at `started_at`."""

    next: datetime
    end: datetime
    started_at: datetime
    is_sweep_too: bool = False
    """A live pass that starts at `final` fetches all that a sweep would fetch."""


class Cursors(Struct, frozen=True):
    """The progress of the current passes. Kept only in memory: after a restart both start again from the checkpoint."""

    due: datetime
    """When the next live pass starts."""
    live: Pass | None = None
    sweep: Pass | None = None
    sweep_is_next: bool = False


class Fetch(Struct, frozen=True):
    """Fetch this window, publish what is new, then call `advanced`."""

    window: Window
    is_live: bool
    """Whether the window belongs to the live pass; otherwise it belongs to the sweep."""
    cursors: Cursors
    """The cursors before the fetch, including passes that it starts."""


class Wait(Struct, frozen=True):
    """Nothing is due before `until`."""

    until: datetime
    cursors: Cursors


class Done(Struct, frozen=True):
    """The stream has an `until`, and everything before it is published and final."""


def first_checkpoint(since: datetime, policy: Policy, selection: str = "", zone: str = "") -> Checkpoint:
    """The checkpoint of a new stream, committed before its first request."""
    alignment = policy.alignment
    since = floor_second(since) if alignment.floor(since) == floor_second(since) else alignment.after(since)
    span = min(policy.span, timedelta(hours=1))
    return Checkpoint(since, since, since, span=span, swept_at=since, selection=selection, zone=zone)


def starts(since: datetime, policy: Policy) -> Sequence[datetime]:
    """Where a stream with this `since` may have started: there, or where its first period starts."""
    return floor_second(since), first_checkpoint(since, policy).since


def last_instant(policy: Policy) -> datetime | None:
    """The last instant that a bounded stream fetches; None for a stream without `until`.

    A record that starts just before `until` may end, and be selected by its end, up to the allowed lateness later. With
    an exact alignment it is in the window that starts before `until`.
    """
    if policy.until is None:
        return None
    if policy.alignment.is_exact:
        return policy.alignment.after(policy.until - SECOND)
    return policy.until + policy.allowed_lateness


def aligned(checkpoint: Checkpoint, policy: Policy) -> Checkpoint:
    """The checkpoint moved back to the nearest cuts, from which a stream whose alignment has changed can continue."""
    watermark, final = policy.alignment.floor(checkpoint.watermark), policy.alignment.floor(checkpoint.final)
    return structs.replace(checkpoint, watermark=max(watermark, checkpoint.since), final=max(final, checkpoint.since))


def next_step(checkpoint: Checkpoint, policy: Policy, cursors: Cursors, now: datetime) -> Wait | Fetch | Done:
    """What the stream does next."""
    now, alignment = floor_second(now), policy.alignment
    last = last_instant(policy)
    if last is not None and _is_complete(checkpoint, policy, last):
        return Done()
    settle = policy.settle if alignment.is_exact else NO_TIME
    target = alignment.floor(now - settle) if last is None else min(alignment.floor(now - settle), last)
    # A due time more than an interval away was planned while the clock was ahead.
    cursors = structs.replace(cursors, due=min(cursors.due, now + policy.interval))
    live, sweep = cursors.live, cursors.sweep
    if live is None and now >= cursors.due and checkpoint.watermark < target:
        is_sweep_too = alignment.is_exact and checkpoint.watermark == checkpoint.final
        live = Pass(checkpoint.watermark, target, now, is_sweep_too)
    is_sweep_due = now - checkpoint.swept_at >= policy.sweep_every and not (live is not None and live.is_sweep_too)
    if sweep is None and is_sweep_due and checkpoint.final < checkpoint.watermark:
        # What the live pass has fetched beyond the watermark is swept too: it may have been requested too early.
        sweep = Pass(
            checkpoint.final, checkpoint.watermark if live is None else max(checkpoint.watermark, live.next), now
        )
    cursors = structs.replace(cursors, live=live, sweep=sweep)
    if sweep is not None and (live is None or cursors.sweep_is_next):
        return Fetch(
            _window(min(max(sweep.next, checkpoint.final), sweep.end), checkpoint, policy, sweep),
            is_live=False,
            cursors=cursors,
        )
    if live is not None:
        return Fetch(_window(live.next, checkpoint, policy, live), is_live=True, cursors=cursors)
    due_times = []
    if last is None or checkpoint.watermark < last:
        due_times.append(max(cursors.due, alignment.after(checkpoint.watermark) + settle))
    if checkpoint.final < checkpoint.watermark:
        due_times.append(checkpoint.swept_at + policy.sweep_every)
    return Wait(max(min(due_times, default=now), now + SECOND), cursors)


def _is_complete(checkpoint: Checkpoint, policy: Policy, last: datetime) -> bool:
    """Whether a bounded stream has published everything, and a sweep has fetched it again after its lateness."""
    if policy.alignment.is_exact:
        return checkpoint.final >= last
    return checkpoint.final >= last - policy.allowed_lateness and min(checkpoint.watermark, checkpoint.swept_at) >= last


def _window(start: datetime, checkpoint: Checkpoint, policy: Policy, current: Pass) -> Window:
    """The window at `start`: as long as the span, at least as long as the alignment requires, and within the pass.

    Without an exact alignment, one window ends at `until`: what the next ones fetch, a neighbour may fetch too.
    """
    alignment, until = policy.alignment, policy.until
    end = min(max(alignment.floor(start + checkpoint.span), alignment.min_end(start)), current.end)
    return Window(start, min(end, until) if until is not None and not alignment.is_exact and start < until else end)


def request_window(step: Fetch, checkpoint: Checkpoint, policy: Policy) -> Window:
    """The interval to request so that the window is covered: it starts one second earlier, but not before `final`.

    With an exact alignment it is the window itself. Otherwise, vendors accept whole seconds and do not document whether
    bounds are inclusive or compared with the starts or the ends of records. The overlap ensures that nothing is lost
    between windows and that all equal rows of one second are together in some response.
    """
    window, swept_at = step.window, None if step.is_live else checkpoint.swept_at
    if policy.alignment.is_exact:
        return Window(window.start, window.end, swept_at)
    earliest = checkpoint.since - SECOND if checkpoint.final == checkpoint.since else checkpoint.final
    return Window(max(earliest, window.start - SECOND), window.end, swept_at)


def advanced(checkpoint: Checkpoint, step: Fetch, policy: Policy, requested_at: datetime) -> tuple[Checkpoint, Cursors]:
    """The checkpoint and the cursors after the window was requested at `requested_at` and published completely."""
    window, alignment = step.window, policy.alignment
    margin = NO_TIME if alignment.is_exact else SECOND
    settle = max(NO_TIME, policy.settle - CLOCK_TOLERANCE) if alignment.is_exact else policy.settle
    watermark, final = checkpoint.watermark, checkpoint.final
    if step.is_live:
        watermark = max(watermark, min(window.end, alignment.floor(requested_at - settle)))
    if window.start - margin <= final:
        final = max(final, min(window.end - margin, alignment.floor(requested_at - policy.allowed_lateness)))
    if policy.until is not None and not alignment.is_exact:
        # Records that start later are dropped. They are fetched again if an operator moves `until`.
        final = min(final, max(checkpoint.final, policy.until))
    checkpoint = structs.replace(checkpoint, watermark=watermark, final=min(final, watermark))
    live, sweep, due, swept_at = step.cursors.live, step.cursors.sweep, step.cursors.due, checkpoint.swept_at
    if step.is_live and live is not None:
        if window.end >= live.end:
            swept_at = live.started_at if live.is_sweep_too else swept_at
            due, live = live.started_at + policy.interval, None
        else:
            live = structs.replace(live, next=window.end)
    elif sweep is not None:
        if window.end >= sweep.end:
            swept_at, sweep = sweep.started_at, None
        else:
            sweep = structs.replace(sweep, next=window.end)
    return structs.replace(checkpoint, swept_at=swept_at), Cursors(due, live, sweep, sweep_is_next=step.is_live)


def complete_before(checkpoint: Checkpoint, policy: Policy) -> datetime:
    """The instant before which every record has started and is published, whichever window selects it.

    `final` is not that instant: the vendor may select a record by its end, up to the allowed lateness after its start.
    A record is certain to be published if it was available when the last completed sweep started, and if all windows up
    to its end have been fetched since. With an exact alignment, a period has only one window.
    """
    if policy.alignment.is_exact:
        return checkpoint.final
    fetched = min(checkpoint.watermark, checkpoint.swept_at) - policy.allowed_lateness
    return max(checkpoint.since, min(checkpoint.final, fetched))


def with_fitted_span(
    checkpoint: Checkpoint, window: Window, policy: Policy, *, largest_bytes: int, slowest_s: float
) -> Checkpoint:
    """The checkpoint with a span adjusted towards responses of TARGET_RESPONSE_BYTES.

    `largest_bytes` and `slowest_s` are the size of the largest response to the window and the time of the slowest.
    """
    span = checkpoint.span
    if largest_bytes > 2 * TARGET_RESPONSE_BYTES:
        span = max(MIN_SPAN, window.length / 2)
    elif (
        largest_bytes < TARGET_RESPONSE_BYTES / 2
        and slowest_s < FAST_S
        and policy.alignment.floor(window.start + span) <= window.end
    ):
        span = span * 2
    return structs.replace(checkpoint, span=_whole_seconds(min(span, policy.span)))


def with_half_span(checkpoint: Checkpoint, window: Window, policy: Policy) -> Checkpoint | None:
    """The checkpoint with half the window's span; None when the window is too short to be halved."""
    if policy.alignment.min_end(window.start) >= window.end:
        return None
    return structs.replace(checkpoint, span=_whole_seconds(max(MIN_SPAN, min(checkpoint.span, window.length) / 2)))


def _whole_seconds(span: timedelta) -> timedelta:
    """The span rounded down to whole seconds, at least MIN_SPAN."""
    return max(MIN_SPAN, timedelta(seconds=span // SECOND))
