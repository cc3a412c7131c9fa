"""Decides whether the clock of a vendor's host can be right. Pure: no requests, and no clock of its own.

The time in a response (HTTP `Date`) protects against this machine's clock being ahead: a stream is complete up to the
earlier of the two times. But a vendor's clock that stands, or is far behind, would stop the stream. If one of the two
clocks must be wrong, the others decide:

    for this machine's clock:   itself, each host whose clock agrees with it, and Kafka, which refuses timestamps that
                                are too far ahead. Also the doubted host, if it agreed before and this machine's clock
                                was not set since, or if its own clock goes back
    for the host's clock:       itself, and each other host that differs from this machine's clock in the same way

With more votes for this machine's clock, the host's is not used. Otherwise both remain in use, and the earlier time
counts: then nothing is lost, whichever is wrong.
"""

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum

from msgspec import Struct, field

from collector.instants import format_seconds

AGREES = timedelta(minutes=1)
"""Clocks agree up to this difference: NTP keeps them within a second, and a response takes seconds."""
FAR = timedelta(minutes=5)
"""A larger difference is reported, and a stream must not wait for such a clock."""
HOLDS_FOR = timedelta(days=1)
"""How long an agreement counts. A clock that nobody sets drifts by a few seconds in that time."""
ENDS_AFTER_S = 600.0
"""A notice ends when a clock has not been doubted for this long: one of several servers behind a host may be wrong."""
EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)
"""No clock that is right shows an earlier time: this program did not exist. A clock that lost its time shows 1970."""
MAX_RECENT = 10
"""The most former differences of a host that are kept."""


class Doubt(Enum):
    """Which clock is probably wrong. The value is the code of the notice."""

    VENDOR = "vendor_clock_wrong"
    OWN = "own_clock_wrong"
    UNDECIDED = "clocks_undecided"


class ClockNotice(Struct, frozen=True):
    """What an operator should know about the clock of a host."""

    code: str
    reason: str
    advice: str


class Moment(Struct, frozen=True):
    """An instant on this machine's clock, and in seconds on its monotonic clock, which is never set."""

    now: datetime
    monotonic_s: float

    def was_set_until(self, later: "Moment") -> bool:
        """Whether this machine's clock was set between the two moments, by more than `AGREES`."""
        passed = timedelta(seconds=later.monotonic_s - self.monotonic_s)
        return abs(later.now - self.now - passed) > AGREES

    def holds(self, later: "Moment") -> bool:
        """Whether that this machine's clock was right at this moment shows that it is right `later`."""
        return later.monotonic_s - self.monotonic_s <= HOLDS_FOR.total_seconds() and not self.was_set_until(later)


class _Host(Struct):
    """The clock of one host. Differences are positive where it is ahead of this machine's."""

    reading: datetime
    difference: timedelta
    seen: Moment
    agreed: Moment | None = None
    """When it last agreed with this machine's clock."""
    distrusted: Moment | None = None
    """When it was found to be wrong. Ends when it agrees, another host confirms it, or this machine's clock is set."""
    recent: deque[timedelta] = field(default_factory=lambda: deque(maxlen=MAX_RECENT))
    """Former differences while it was trusted. A clock that returns to one of them has not gone back."""
    doubted_s: float = 0.0
    notice: ClockNotice | None = None


OnChange = Callable[[str, ClockNotice | None], None]
"""Called with a host when a notice about its clock begins or changes; with None when it ends."""


class Clocks:
    """What this process knows about the clocks of the vendors' hosts."""

    def __init__(self, on_change: OnChange = lambda _host, _notice: None) -> None:
        self._on_change = on_change
        self._hosts: dict[str, _Host] = {}
        self._accepted: tuple[Moment, timedelta] | None = None

    def kafka_accepted(self, at: Moment, max_ahead: timedelta) -> None:
        """Kafka accepted timestamps of this machine's clock, which is therefore not further ahead than `max_ahead`."""
        self._accepted = at, max_ahead

    def observe(self, name: str, reading: datetime, took: timedelta, at: Moment) -> bool:
        """Whether the clock of the host can be used. It showed `reading` during the `took` before `at`."""
        before = self._hosts.get(name)
        difference = least_difference(reading, at.now, took)
        host = self._hosts.setdefault(name, _Host(reading, difference, at))
        returns = any(abs(difference - each) <= AGREES for each in host.recent)
        goes_back = before is not None and host.reading - reading > FAR + took and not returns
        host.reading, host.difference, host.seen = reading, difference, at
        if host.distrusted is not None and (returns or host.distrusted.was_set_until(at)):
            host.distrusted = None
        doubt = self._judge(host, at, goes_back=goes_back)
        if doubt is not Doubt.VENDOR:
            host.distrusted = None
            host.recent.append(difference)
        elif host.distrusted is None:
            host.distrusted = at
            if not goes_back:
                host.recent.clear()
        self._report(name, host, doubt, at)
        return doubt is not Doubt.VENDOR

    def _judge(self, host: _Host, at: Moment, *, goes_back: bool) -> Doubt | None:
        """Which clock is wrong, if one must be."""
        if host.reading < EARLIEST:
            return Doubt.VENDOR
        if abs(host.difference) <= AGREES:
            host.agreed = at
            return None
        if abs(host.difference) <= FAR and host.distrusted is None:
            return None
        others = [each for each in self._hosts.values() if each is not host and each.seen.holds(at)]
        votes_for_host = 1 + sum(abs(each.difference - host.difference) <= AGREES for each in others)
        votes_for_own = 1 + sum(self._supports_own(each, host, at) for each in self._hosts.values())
        votes_for_own += goes_back + self._kafka_supports_own(host, at)
        if votes_for_own > votes_for_host or (host.distrusted is not None and votes_for_host == 1):
            return Doubt.VENDOR
        if abs(host.difference) <= FAR:
            return None
        return Doubt.OWN if votes_for_own < votes_for_host else Doubt.UNDECIDED

    @staticmethod
    def _supports_own(each: _Host, doubted: _Host, at: Moment) -> bool:
        """Whether a host confirms this machine's clock against one that differs.

        A former agreement is enough where that one is behind: this machine's clock has not been set since. It is not
        where that one is ahead: this machine, and all of its clocks, may have been suspended meanwhile.
        """
        if each.agreed is None or not each.agreed.holds(at):
            return False
        return doubted.difference < timedelta(0) or abs(each.difference) <= AGREES

    def _kafka_supports_own(self, host: _Host, at: Moment) -> bool:
        if self._accepted is None:
            return False
        accepted_at, max_ahead = self._accepted
        return accepted_at.holds(at) and host.difference < -(max_ahead + FAR)

    def _report(self, name: str, host: _Host, doubt: Doubt | None, at: Moment) -> None:
        if doubt is not None:
            host.doubted_s = at.monotonic_s
            if host.notice is None or host.notice.code != doubt.value:
                host.notice = _notice(name, host, doubt)
                self._on_change(name, host.notice)
        elif host.notice is not None and at.monotonic_s - host.doubted_s >= ENDS_AFTER_S:
            host.notice = None
            self._on_change(name, None)


def least_difference(reading: datetime, received_at: datetime, took: timedelta) -> timedelta:
    """The least difference between a vendor's clock and this machine's; negative when the vendor's is behind.

    The vendor writes the date in whole seconds, at an unknown instant of the `took` before `received_at`: 0 means that
    the clocks may agree.
    """
    none = timedelta(0)
    least = reading - received_at
    return max(least, none) + min(least + timedelta(seconds=1) + took, none)


def _notice(name: str, host: _Host, doubt: Doubt) -> ClockNotice:
    amount = timedelta(seconds=round(abs(host.difference).total_seconds()))
    direction = "behind" if host.difference < timedelta(0) else "ahead of"
    reason = f"the clock of {name} is {amount} {direction} this machine's clock"
    if host.reading < EARLIEST:
        reason = f"the clock of {name} shows {format_seconds(host.reading)}"
    match doubt:
        case Doubt.VENDOR:
            reason += ", and is wrong: this machine's clock is used instead"
            advice = f"no action needed here: ask the operator of {name} to correct its clock"
        case Doubt.OWN:
            reason += ", and other hosts agree with it: this machine's clock is wrong"
            advice = "synchronize this machine's clock by NTP"
        case _:
            reason += ", and it is not known which is right: the earlier time is used, so that nothing is lost"
            advice = f"check this machine's clock (NTP); if it is right, ask the operator of {name} to correct theirs"
    return ClockNotice(doubt.value, reason, advice)
