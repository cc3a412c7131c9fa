"""A restore has a deadline on progress, and none in total; and shows how far it is."""

from random import Random

import pytest

from collector.kafka import reader
from tests.faults.brokers import ProxiedBroker
from tests.faults.faults import RESPONSE, Delay, Drop
from tests.faults.proxy import Proxy
from tests.faults.publisher import Place
from tests.faults.wire import Api

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("standalone_telemetry")]

RECORDS, MAX_RECORD_BYTES = 24, 20_000


@pytest.fixture
async def place(proxy: Proxy, proxied: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A partition with a state that takes several answers to read."""
    monkeypatch.setattr(reader, "MAX_FETCH_BYTES", MAX_RECORD_BYTES)
    monkeypatch.setattr(reader, "MAX_STALL_S", 1.5)
    place = Place(proxy, proxied, prefix, 1, 9)
    await place.ensure()
    random = Random(4)
    async with place.epoch(0) as holding:
        for number in range(RECORDS):
            await holding.commit((), {f"k{number}".encode(): random.randbytes(MAX_RECORD_BYTES)})  # nothing to compress
    return place


async def test_a_restore_that_makes_progress_may_take_longer_than_any_pause_in_it(place: Place, proxy: Proxy) -> None:
    seen: list[tuple[int, int]] = []
    with proxy.fault(Api.FETCH, Delay(0.3, RESPONSE)) as slow:
        async with place.epoch(0, progress=lambda done, total: seen.append((done, total))) as holding:
            assert RECORDS == len([key for key in holding.pairs if key.startswith(b"k")])
    assert slow.applied * 0.3 > 2 * reader.MAX_STALL_S
    assert sorted(seen) == seen, "it only goes on"
    assert len({total for _, total in seen}) == 1
    assert len(seen) > 10
    assert all(done <= total for done, total in seen)


async def test_a_restore_without_progress_fails(place: Place, proxy: Proxy) -> None:
    with proxy.fault(Api.FETCH, Drop(RESPONSE)), pytest.raises(TimeoutError, match=r"made no progress for 1\.5 s"):
        async with place.epoch(0):
            pass
    async with place.epoch(0) as holding:
        assert b"k0" in holding.pairs
