"""Runs a stream in one epoch, and beside it the backfill that an operator has requested."""

from collections.abc import Mapping, MutableMapping, Sequence

import anyio

from collector.errors import UnreadableState
from collector.kafka.epoch import Epoch
from collector.pipeline.backfills import active_of, completed, history_of
from collector.pipeline.shards import Shards
from collector.stream_handle import StreamHandle

States = Mapping[str, Mapping[str, bytes]]
"""Stored states by the prefix of the stream, as `by_stream` returns them."""
OwnStates = MutableMapping[str, Mapping[str, bytes]]
"""The same of a stream with all its shards and backfills. What is loaded is removed: it would be in memory twice."""


async def run_shards(handles: Sequence[StreamHandle], epoch: Epoch, states: OwnStates) -> Shards:
    """Run the shards of a stream from these states. Returns what they share, once all of them are complete."""
    shards = handles[0].shards(handles)
    shards.pairs.update((prefix, states.pop(prefix)) for prefix in list(states) if shards.contains(prefix))
    async with anyio.create_task_group() as tasks:
        for handle in handles:
            tasks.start_soon(handle.run, epoch, shards)
    return shards


async def run_backfill(handles: Sequence[StreamHandle], epoch: Epoch, states: OwnStates) -> None:
    """Run the backfill of the stream with these shards until it is complete, if one is requested.

    Its state is then deleted, in the transaction that records what it has published. After a crash in between, the next
    epoch finds it complete. Raises EpochEnded.
    """
    prefix = handles[0].published_prefix
    try:
        requested = active_of(prefix, epoch.pairs)
        if requested is not None:
            history_of(prefix, epoch.pairs)  # it must be readable when the backfill is complete
    except UnreadableState as error:
        handles[0].telemetry.backfill_unreadable(str(error), error.advice)
        return
    if requested is None:
        return
    backfills = [handle.backfill(requested) for handle in handles]
    try:
        shards = await run_shards(backfills, epoch, states)
        changes = completed(prefix, requested, epoch.pairs)
        await epoch.commit((), {**dict.fromkeys(shards.stored_keys()), **changes})
        epoch.pairs = {key: value for key, value in {**epoch.pairs, **changes}.items() if value is not None}
        handles[0].telemetry.backfill_complete(requested)
    finally:
        for backfill in backfills:
            backfill.hide()
