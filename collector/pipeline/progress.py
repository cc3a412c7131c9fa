"""Decides which commits of a stream also report to consumers how far it is. Pure."""

from datetime import datetime, timedelta

from collector.cloudevents import Message
from collector.model import Checkpoint, Policy
from collector.pipeline.message import Origin, StreamProgress, progress_message
from collector.pipeline.plan import complete_before

MIN_INTERVAL = timedelta(seconds=10)
"""The least time between two messages of a stream, unless it is complete. A stream that catches up commits far more
often, and a consumer that reads the topic from the start would read all of them until they are compacted."""


class Progress:
    """The progress messages of one stream during one epoch. The first commit of a checkpoint always has one."""

    def __init__(self, origin: Origin, policy: Policy) -> None:
        self._origin = origin
        self._policy = policy
        self._reported: tuple[datetime, datetime, StreamProgress] | None = None
        self._reported_at: datetime | None = None

    def message(self, checkpoint: Checkpoint, state: StreamProgress, now: datetime) -> Message | None:
        """The message to commit together with the checkpoint, or None if none is due."""
        if self.is_reported(checkpoint, state):
            return None
        is_early = self._reported_at is not None and timedelta(0) <= now - self._reported_at < MIN_INTERVAL
        if is_early and state != "complete":
            return None
        final = complete_before(checkpoint, self._policy)
        return progress_message(checkpoint.watermark, final, state, self._origin, now)

    def committed(self, checkpoint: Checkpoint, state: StreamProgress, now: datetime) -> None:
        """The message of the checkpoint is durable."""
        self._reported, self._reported_at = self._key(checkpoint, state), now

    def is_reported(self, checkpoint: Checkpoint, state: StreamProgress) -> bool:
        """Whether the last message already says this."""
        return self._reported == self._key(checkpoint, state)

    def _key(self, checkpoint: Checkpoint, state: StreamProgress) -> tuple[datetime, datetime, StreamProgress]:
        return checkpoint.watermark, complete_before(checkpoint, self._policy), state
