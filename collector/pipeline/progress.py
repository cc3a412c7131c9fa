"""Decides which commits of a stream also report to consumers how far it is. Pure."""

from datetime import datetime, timedelta
from typing import NamedTuple

from collector.cloudevents import Message
from collector.model import Checkpoint, Policy
from collector.pipeline.message import Origin, StreamProgress, progress_message
from collector.pipeline.plan import Cursors, complete_before

MIN_INTERVAL = timedelta(seconds=10)
"""The least time between two messages of a stream, unless it becomes live or complete. A stream that catches up commits
far more often, and a consumer that reads the topic from the start would read all of them until they are compacted."""


def state_after(before: StreamProgress, checkpoint: Checkpoint, cursors: Cursors, policy: Policy) -> StreamProgress:
    """The state after a window. A live pass of several windows is live unless two polls or more are left."""
    if cursors.live is None:
        return "live"
    remaining = cursors.live.end - checkpoint.watermark
    if remaining > 2 * policy.max_poll_interval + policy.settle:
        return "catching_up"
    return "live" if remaining <= policy.max_poll_interval else before


class Progress:
    """The progress messages of one stream during one epoch. The first commit of a checkpoint always has one.

    Nothing that starts at or after `until` is published, so neither time is later.
    """

    def __init__(self, origin: Origin, policy: Policy) -> None:
        self._origin = origin
        self._policy = policy
        self._reported: _Report | None = None
        self._reported_at: datetime | None = None

    def message(self, checkpoint: Checkpoint, state: StreamProgress, now: datetime) -> Message | None:
        """The message to commit together with the checkpoint, or None if none is due."""
        report = self._report(checkpoint, state)
        if report == self._reported:
            return None
        is_early = self._reported_at is not None and timedelta(0) <= now - self._reported_at < MIN_INTERVAL
        is_news = self._reported is not None and state not in ("catching_up", self._reported.state)
        if is_early and not is_news:
            return None
        return progress_message(report.watermark, report.final, state, self._origin, now)

    def committed(self, checkpoint: Checkpoint, state: StreamProgress, now: datetime) -> None:
        """The message of the checkpoint is durable."""
        self._reported, self._reported_at = self._report(checkpoint, state), now

    def is_reported(self, checkpoint: Checkpoint, state: StreamProgress) -> bool:
        """Whether the last message already says this."""
        return self._reported == self._report(checkpoint, state)

    def _report(self, checkpoint: Checkpoint, state: StreamProgress) -> "_Report":
        watermark, final, until = checkpoint.watermark, complete_before(checkpoint, self._policy), self._policy.until
        if until is not None:
            watermark, final = min(watermark, until), min(final, until)
        return _Report(watermark, final, state)


class _Report(NamedTuple):
    """What a message says."""

    watermark: datetime
    final: datetime
    state: StreamProgress
