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

from collector.model import SECOND, SMALLEST_SPAN, Head, Policy, Window, floor_second

AIM_BYTES = 4 << 20
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


class Ask(Struct, frozen=True):
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


def first_head(since: datetime, policy: Policy, selection: str = "") -> Head:
    """The head of a stream that was never seen, committed before its first request."""
    since = floor_second(since)
    return Head(since, since, since, span=min(policy.span, timedelta(hours=1)), swept_at=since, selection=selection)


def last_instant(policy: Policy) -> datetime | None:
    """Where a bounded stream stops looking.

    A record that starts just before `until` may end, and so be selected by its end, up to the allowed lateness later.
    """
    return None if policy.until is None else policy.until + policy.allowed_lateness


def next_step(head: Head, policy: Policy, cursors: Cursors, now: datetime) -> Wait | Ask | Done:
    now = floor_second(now)
    last = last_instant(policy)
    if last is not None and head.final >= last - policy.allowed_lateness and min(head.watermark, head.swept_at) >= last:
        return Done()
    target = now if last is None else min(now, last)
    live, sweep = cursors.live, cursors.sweep
    if live is None and now >= cursors.due and head.watermark < target:
        live = Pass(head.watermark, target, now)
    if sweep is None and now - head.swept_at >= policy.sweep_every and head.final < head.watermark:
        sweep = Pass(head.final, head.watermark, now)
    cursors = structs.replace(cursors, live=live, sweep=sweep)
    if sweep is not None and (live is None or cursors.sweep_is_next):
        start = min(max(sweep.next, head.final), sweep.end)
        return Ask(Window(start, min(start + head.span, sweep.end)), live=False, cursors=cursors)
    if live is not None:
        return Ask(Window(live.next, min(live.next + head.span, live.end)), live=True, cursors=cursors)
    looks = [cursors.due] if last is None or head.watermark < last else []
    if head.final < head.watermark:
        looks.append(head.swept_at + policy.sweep_every)
    return Wait(max(min(looks, default=now), now + SECOND), cursors)


def asked(window: Window, head: Head) -> Window:
    """What is asked for, so that the window is covered: it begins one second earlier, but never before `final`.

    Times are asked for in whole seconds, and an end may be inclusive or not, as may a begin that is compared with
    records' ends; so nothing is lost between windows, and equal rows of one second are together in some answer.
    """
    earliest = head.since - SECOND if head.final == head.since else head.final
    return Window(max(earliest, window.start - SECOND), window.end)


def closed(head: Head, step: Ask, policy: Policy, asked_at: datetime) -> tuple[Head, Cursors]:
    """Head and cursors after every answer of the window, asked for at `asked_at`, was published."""
    window, asked_at = step.window, floor_second(asked_at)
    watermark, final = head.watermark, head.final
    if step.live:
        watermark = max(watermark, min(window.end, asked_at - policy.settle))
    if window.start - SECOND <= final:
        final = max(final, min(window.end - SECOND, asked_at - policy.allowed_lateness))
    head = structs.replace(head, watermark=watermark, final=min(final, watermark))
    live, sweep, due, swept_at = step.cursors.live, step.cursors.sweep, step.cursors.due, head.swept_at
    if step.live and live is not None:
        live, due = (None, live.end + policy.interval) if window.end >= live.end else (_on(live, window.end), due)
    elif sweep is not None:
        sweep, swept_at = (None, sweep.began) if window.end >= sweep.end else (_on(sweep, window.end), swept_at)
    return structs.replace(head, swept_at=swept_at), Cursors(due, live, sweep, sweep_is_next=step.live)


def _on(walk: Pass, instant: datetime) -> Pass:
    return structs.replace(walk, next=instant)


def fitted(head: Head, window: Window, policy: Policy, *, largest_bytes: int, slowest_s: float) -> Head:
    """The head with a span that aims at answers of `AIM_BYTES`, judged by the largest answer to this window."""
    span = head.span
    if largest_bytes > 2 * AIM_BYTES:
        span = max(SMALLEST_SPAN, window.length / 2)
    elif largest_bytes < AIM_BYTES / 2 and slowest_s < FAST_S and window.length >= span:
        span = span * 2
    return structs.replace(head, span=_whole(min(span, policy.span)))


def halved(head: Head, window: Window) -> Head | None:
    """The head that asks for the window's first half, or None when it is too short to be halved."""
    if window.length <= SMALLEST_SPAN:
        return None
    return structs.replace(head, span=_whole(max(SMALLEST_SPAN, min(head.span, window.length) / 2)))


def _whole(span: timedelta) -> timedelta:
    return max(SMALLEST_SPAN, timedelta(seconds=span // SECOND))
