"""A backfill runs beside its stream, and deletes its state in the transaction that records what it has published."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from msgspec import structs

from collector.backfill import OwnStates, run_backfill, run_whole
from collector.instants import SECOND
from collector.model import Backfill, Checkpoint, Window
from collector.pipeline.backfills import active_of, backfill_key, encode_backfill, history_of, history_zones
from collector.pipeline.shards import whole_prefix
from collector.pipeline.state_records import encode_checkpoint
from collector.stream_handle import StreamHandle
from tests.simulated import at

pytestmark = pytest.mark.anyio

PREFIX = "test/1/mall/sessions"
REQUESTED = Backfill(at(1000), at(2000), at(9000), "anna@host")
STATE = f"{PREFIX}~19700101T001640Z"
PARIS, TOKYO = "Europe/Paris", "Asia/Tokyo"


class Epoch:
    """The records of a partition's operator, and what is committed."""

    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self.pairs = pairs
        self.commits: list[Mapping[bytes, bytes | None]] = []

    async def commit(self, messages: object, changes: Mapping[bytes, bytes | None]) -> float:
        assert not messages
        await anyio.lowlevel.checkpoint()
        self.commits.append(changes)
        return 0.0


class FakeHandle:
    """A stream, or a backfill, that is complete at once; `runs` has the states from which it ran."""

    def __init__(self, prefix: str = PREFIX, zones: str = "") -> None:
        self.stream = SimpleNamespace(zones=zones)
        self.prefix, self.whole_prefix, self.published_prefix = prefix, prefix, PREFIX
        self.neighbour_start: datetime | None = None
        self.runs: list[Mapping[str, object]] = []
        self.made: list[FakeHandle] = []
        self.hidden = 0
        self.elsewhere: Sequence[tuple[int, int]] = ()
        self.unreadable: list[str] = []
        self.other_zones: list[tuple[str, str]] = []
        self.telemetry = SimpleNamespace(
            backfill_unreadable=lambda error, _: self.unreadable.append(error),
            backfill_zones_changed=lambda backfill, zones: self.other_zones.append((backfill.zones, zones)),
            backfill_complete=lambda _: None,
        )

    def shards(self, _: object) -> SimpleNamespace:
        return SimpleNamespace(
            pairs={},
            contains=lambda prefix: whole_prefix(prefix) == self.prefix,
            stored_keys=lambda: [self.prefix.encode(), f"{self.prefix}/7/0".encode()],
        )

    def backfill(self, requested: Backfill) -> "FakeHandle":
        assert (requested.start, requested.end) == (REQUESTED.start, REQUESTED.end)
        self.made.append(FakeHandle(STATE))
        return self.made[-1]

    async def run(self, _: object, shards: SimpleNamespace) -> None:
        self.runs.append(dict(shards.pairs))
        self.neighbour_start, self.elsewhere = shards.neighbour_start, shards.elsewhere
        await anyio.lowlevel.checkpoint()

    def hide(self) -> None:
        self.hidden += 1


async def run(handle: FakeHandle, epoch: Epoch, states: OwnStates | None = None) -> None:
    await run_backfill([cast("StreamHandle", handle)], cast("Any", epoch), states or {}, [REQUESTED.end])


def requested(*, is_cancelled: bool = False, zones: str = "") -> dict[bytes, bytes]:
    backfill = structs.replace(REQUESTED, is_cancelled=is_cancelled, zones=zones)
    return {backfill_key(PREFIX, backfill.start): encode_backfill(backfill)}


async def test_a_complete_backfill_deletes_its_state_and_records_its_interval() -> None:
    handle, epoch = FakeHandle(), Epoch(requested())

    await run(handle, epoch, {PREFIX: {"": b"stream"}, STATE: {"": b"backfill"}})

    (backfill,) = handle.made
    assert [{STATE: {"": b"backfill"}}] == backfill.runs
    (changes,) = epoch.commits
    deleted = {key for key, value in changes.items() if value is None}
    assert {STATE.encode(), f"{STATE}/7/0".encode(), *requested()} == deleted
    assert [Window(REQUESTED.start, REQUESTED.end)] == history_of(PREFIX, epoch.pairs)
    assert active_of(PREFIX, epoch.pairs) is None
    assert 1 == backfill.hidden


@pytest.mark.parametrize("pairs", [{}, requested(is_cancelled=True)])
async def test_without_an_active_request_nothing_runs(pairs: dict[bytes, bytes]) -> None:
    handle, epoch = FakeHandle(), Epoch(pairs)

    await run(handle, epoch)

    assert ([], []) == (handle.made, epoch.commits)


async def test_a_damaged_request_does_not_run_and_is_reported() -> None:
    handle, epoch = FakeHandle(), Epoch(dict.fromkeys(requested(), b"{}"))

    await run(handle, epoch)

    assert ([], []) == (handle.made, epoch.commits)
    assert 1 == len(handle.unreadable)


@pytest.mark.parametrize("zones", ["", PARIS])
async def test_a_complete_backfill_records_the_time_zones_in_which_it_ran(zones: str) -> None:
    handle, epoch = FakeHandle(zones=PARIS), Epoch(requested(zones=zones))

    await run(handle, epoch)

    assert PARIS == history_zones(PREFIX, epoch.pairs)


async def test_a_backfill_with_other_time_zones_does_not_run_and_is_reported_and_its_stream_runs() -> None:
    handle, epoch = FakeHandle(zones=TOKYO), Epoch(requested(zones=PARIS))

    await run_whole([cast("StreamHandle", handle)], cast("Any", epoch), {STATE: {"": b"backfill"}})

    assert ([], []) == (handle.made, epoch.commits)
    assert [(PARIS, TOKYO)] == handle.other_zones
    assert 1 == len(handle.runs)
    assert active_of(PREFIX, epoch.pairs) is not None


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_stream_leaves_out_what_a_backfill_with_another_time_zone_publishes(*, is_cancelled: bool) -> None:
    handle, epoch = FakeHandle(zones=TOKYO), Epoch(requested(is_cancelled=is_cancelled, zones=PARIS))

    await run_whole([cast("StreamHandle", handle)], cast("Any", epoch), {})

    assert [(1000 + 3600, 2000 + 3600)] == handle.elsewhere


async def test_a_stream_runs_although_the_records_of_its_backfills_are_damaged() -> None:
    handle, epoch = FakeHandle(zones=TOKYO), Epoch(dict.fromkeys(requested(), b"{}"))

    await run_whole([cast("StreamHandle", handle)], cast("Any", epoch), {})

    assert (1, []) == (len(handle.runs), list(handle.elsewhere))


async def test_a_backfill_knows_where_its_stream_takes_over() -> None:
    handle, epoch = FakeHandle(), Epoch(requested())
    start = encode_checkpoint(Checkpoint(at(2000), at(3000), at(2500), span=SECOND, swept_at=at(2000)))

    await run_whole([cast("StreamHandle", handle)], cast("Any", epoch), {PREFIX: {"": start}})

    assert [at(2000)] == [made.neighbour_start for made in handle.made]
    assert handle.neighbour_start is None


async def test_a_backfill_that_is_interrupted_is_no_longer_shown_and_keeps_its_request() -> None:
    class EndlessHandle(FakeHandle):
        def backfill(self, requested: Backfill) -> FakeHandle:
            del requested
            self.made.append(SleepingHandle(STATE))
            return self.made[-1]

    class SleepingHandle(FakeHandle):
        async def run(self, _: object, shards: SimpleNamespace) -> None:
            del shards
            await anyio.sleep_forever()

    handle, epoch = EndlessHandle(), Epoch(requested())
    with anyio.move_on_after(0):
        await run(handle, epoch)

    assert [1] == [made.hidden for made in handle.made]
    assert not epoch.commits
    assert active_of(PREFIX, epoch.pairs) is not None
