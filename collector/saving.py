"""When the checkpoint of a stream is committed although nothing is new. Pure.

The streams of a partition do so at the same moments, so that they share a transaction (`kafka/commit_queue.py`).
"""

from datetime import datetime, timedelta

from collector.instants import UNIX_EPOCH

SAVE_INTERVAL = timedelta(minutes=2)
"""How often the checkpoint is committed although nothing is new. After a crash, at most that much is fetched again."""
_BETWEEN_MOMENTS = SAVE_INTERVAL / 2


def next_save(saved_at: datetime, phase: float = 0.0) -> datetime:
    """When the checkpoint of a stream that committed one at `saved_at` is due.

    It is after more than one minute, so that a stream that commits data each minute is never due, and at most two.
    `phase`, from 0 to 1, differs between partitions: their streams are due at other moments.
    """
    first = UNIX_EPOCH + phase * _BETWEEN_MOMENTS
    return first + (saved_at - first) // _BETWEEN_MOMENTS * _BETWEEN_MOMENTS + SAVE_INTERVAL


def is_due(save_at: datetime, now: datetime) -> bool:
    """Whether a checkpoint is due that `next_save` has set to `save_at`; it also is once the clock was set back."""
    return not now < save_at <= now + SAVE_INTERVAL
