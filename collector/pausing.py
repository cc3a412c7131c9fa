"""Keeps a stream from running while an operator has paused it. See `pipeline/pauses.py` for the records of pauses."""

from collections.abc import Awaitable, Callable

from collector.clock import Clock
from collector.kafka.epoch import Epoch
from collector.pipeline.pauses import pauses_of
from collector.saving import next_save
from collector.telemetry.stream import StreamTelemetry


async def wait_while_paused(
    epoch: Epoch,
    prefix: str,
    clock: Clock,
    telemetry: StreamTelemetry,
    report: Callable[[], Awaitable[bool]],
    *,
    save_phase: float = 0.0,
) -> None:
    """Return when no pause of the stream with this whole prefix is in effect: at once, if there is none.

    The records of pauses that are over are deleted. `report` reports to consumers that the stream is not live; it
    returns False if that must be tried again.

    A record is committed regularly. Raises EpochEnded if that fails: an operator has resumed or rewound the stream, or
    another process has taken over the partition.
    """
    is_reported = False
    while pauses := pauses_of(prefix, epoch.pairs):
        key, pause = next(iter(pauses.items()))
        if pause.is_over(clock.now()):
            await epoch.commit((), {key: None})
            epoch.pairs.pop(key, None)  # another stream of the source may have done the same meanwhile
            continue
        telemetry.paused(pause)
        is_reported = is_reported or await report()
        await clock.until(min(next_save(clock.now(), save_phase), pause.ends_at))
        if not pause.is_over(clock.now()):
            await epoch.verify()
    telemetry.resumed()
