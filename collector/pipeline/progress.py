"""Decides which commits of a stream also report to consumers how far it is. Pure."""

from collections.abc import Collection
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

    A stream of several shards is as far as the shard that is least far. It has no messages before each shard has begun.
    Nothing that starts at or after `until` is published, so neither time is later.
    """

    def __init__(
        self, origin: Origin, policy: Policy, shards: Collection[str] = ("",), *, is_silent: bool = False
    ) -> None:
        """`shards` are the prefixes of the stream's shards. A silent one has no messages: that of a backfill."""
        self._is_silent = is_silent
        self._origin = origin
        self._policy = policy
        self._shards: dict[str, _Report | None] = dict.fromkeys(shards)
        """What is durable of each shard; None before it has begun."""
        self._reported: _Report | None = None
        self._reported_at: datetime | None = None

    def begin(self, shard: str, durable: Checkpoint) -> None:
        """A shard starts from this checkpoint."""
        self._shards[shard] = self._report(durable, "catching_up")

    def message(self, checkpoint: Checkpoint, state: StreamProgress, now: datetime, shard: str = "") -> Message | None:
        """The message to commit together with the checkpoint of a shard, or None if none is due."""
        report = self._whole(shard, checkpoint, state)
        if report is None or report == self._reported:
            return None
        is_early = self._reported_at is not None and timedelta(0) <= now - self._reported_at < MIN_INTERVAL
        is_news = self._reported is not None and report.state not in ("catching_up", self._reported.state)
        if is_early and not is_news:
            return None
        return progress_message(report.watermark, report.final, report.state, self._origin, now)

    def committed(
        self, checkpoint: Checkpoint, state: StreamProgress, now: datetime, shard: str = "", *, reported: bool = True
    ) -> None:
        """The checkpoint of a shard is durable; `reported` states whether a message was committed with it."""
        if reported:
            self._reported, self._reported_at = self._whole(shard, checkpoint, state), now
        self._shards[shard] = self._report(checkpoint, state)

    def is_reported(self, checkpoint: Checkpoint, state: StreamProgress, shard: str = "") -> bool:
        """Whether the last message already says this, or none can.

        Not while the other shards do not know this state: their messages would still have the former one.
        """
        whole = self._whole(shard, checkpoint, state)
        return whole is None or (self.is_known(state, shard) and whole == self._reported)

    def is_known(self, state: StreamProgress, shard: str = "") -> bool:
        """Whether the messages of the other shards are made with this state of the shard."""
        durable = self._shards[shard]
        return len(self._shards) == 1 or (durable is not None and durable.state == state)

    def _whole(self, shard: str, checkpoint: Checkpoint, state: StreamProgress) -> "_Report | None":
        """What the whole stream reports if a shard is this far; None before each shard has begun."""
        reports = [report for each, report in self._shards.items() if each != shard]
        known = [self._report(checkpoint, state), *(report for report in reports if report is not None)]
        if len(known) <= len(reports) or self._is_silent:
            return None
        states = {report.state for report in known}
        whole: StreamProgress = next(each for each in ("catching_up", "live", "complete") if each in states)
        return _Report(min(each.watermark for each in known), min(each.final for each in known), whole)

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
