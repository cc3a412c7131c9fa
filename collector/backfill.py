"""Runs a stream in one epoch, and beside it the backfill that an operator has requested."""

from collections.abc import Mapping, MutableMapping, Sequence
from datetime import datetime

import anyio
from msgspec import structs

from collector.errors import UnreadableState
from collector.kafka.epoch import Epoch
from collector.pipeline.backfills import active_of, completed, history_of, in_other_zones, neighbour_start, starts_of
from collector.pipeline.shards import Shards
from collector.stream_handle import StreamHandle

States = Mapping[str, Mapping[str, bytes]]
"""Stored states by the prefix of the stream, as `by_stream` returns them."""
OwnStates = MutableMapping[str, Mapping[str, bytes]]
"""The same of a stream with all its shards and backfills. What is loaded is removed: it would be in memory twice."""


async def run_whole(handles: Sequence[StreamHandle], epoch: Epoch, states: OwnStates) -> None:
    """Run a stream with all its shards, and its backfill. Raises EpochEnded."""
    try:
        starts = starts_of(handles[0].whole_prefix, states)
    except UnreadableState:
        starts = ()  # the stream reports it
    elsewhere = _in_other_zones(handles[0], epoch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_shards, handles, epoch, states, None, elsewhere)
        tasks.start_soon(run_backfill, handles, epoch, states, starts)


def _in_other_zones(handle: StreamHandle, epoch: Epoch) -> Sequence[tuple[int, int]]:
    """What the stream leaves out: see `in_other_zones`. Nothing if the records cannot be read, which is reported."""
    try:
        return in_other_zones(handle.published_prefix, epoch.pairs, handle.stream.zones)
    except UnreadableState:
        return ()


async def run_shards(
    handles: Sequence[StreamHandle],
    epoch: Epoch,
    states: OwnStates,
    neighbour: datetime | None = None,
    elsewhere: Sequence[tuple[int, int]] = (),
) -> Shards:
    """Run the shards of a stream from these states. Returns what they share, once all of them are complete.

    `neighbour` is the start of that of a backfill: see `neighbour_start`. `elsewhere` is what a stream leaves out: see
    `in_other_zones`.
    """
    shards = handles[0].shards(handles)
    shards.neighbour_start, shards.elsewhere = neighbour, elsewhere
    shards.pairs.update((prefix, states.pop(prefix)) for prefix in list(states) if shards.contains(prefix))
    async with anyio.create_task_group() as tasks:
        for handle in handles:
            tasks.start_soon(handle.run, epoch, shards)
    return shards


async def run_backfill(
    handles: Sequence[StreamHandle], epoch: Epoch, states: OwnStates, starts: Sequence[datetime]
) -> None:
    """Run the backfill of the stream with these shards until it is complete, if one is requested.

    Its state is then deleted, in the transaction that records what it has published. After a crash in between, the next
    epoch finds it complete. It does not run while the source has other time zones than when it was requested. `starts`
    are those of the shards of the stream. Raises EpochEnded.
    """
    prefix = handles[0].published_prefix
    try:
        requested = active_of(prefix, epoch.pairs)
        # The history must also be readable when the backfill is complete.
        history = () if requested is None else history_of(prefix, epoch.pairs)
    except UnreadableState as error:
        handles[0].telemetry.backfill_unreadable(str(error), error.advice)
        return
    if requested is None:
        return
    zones = handles[0].stream.zones
    if not requested.is_in(zones):
        handles[0].telemetry.backfill_zones_changed(requested, zones)
        return
    backfills = [handle.backfill(requested) for handle in handles]
    try:
        neighbour = neighbour_start(requested.end, starts, history)
        shards = await run_shards(backfills, epoch, states, neighbour)
        changes = completed(prefix, structs.replace(requested, zones=zones), epoch.pairs)
        await epoch.commit((), {**dict.fromkeys(shards.stored_keys()), **changes})
        epoch.pairs = {key: value for key, value in {**epoch.pairs, **changes}.items() if value is not None}
        handles[0].telemetry.backfill_complete(requested)
    finally:
        for backfill in backfills:
            backfill.hide()
