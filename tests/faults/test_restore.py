"""A restore has a deadline for progress and none in total, and reports its progress."""

from random import Random

import pytest

from collector.kafka import reader
from tests.faults.brokers import ProxiedBroker
from tests.faults.faults import RESPONSE, Delay, Drop
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.faults.publisher import Topics

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("standalone_telemetry")]

RECORDS, MAX_RECORD_BYTES = 24, 20_000


@pytest.fixture
async def topics(proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Topics:
    """A partition whose state takes several fetch responses to read."""
    monkeypatch.setattr(reader, "MAX_FETCH_BYTES", MAX_RECORD_BYTES)
    monkeypatch.setattr(reader, "MAX_STALL_S", 1.5)
    topics = Topics(proxy, proxied_broker, prefix, 1, 9)
    await topics.create()
    random = Random(4)
    async with topics.epoch(0) as epoch:
        for number in range(RECORDS):
            await epoch.commit((), {f"k{number}".encode(): random.randbytes(MAX_RECORD_BYTES)})  # incompressible
    return topics


async def test_a_restore_that_makes_progress_may_take_longer_than_any_pause_in_it(topics: Topics, proxy: Proxy) -> None:
    seen: list[tuple[int, int]] = []
    with proxy.fault(Api.FETCH, Delay(0.3, RESPONSE)) as slow:
        async with topics.epoch(0, progress=lambda done, total: seen.append((done, total))) as epoch:
            assert RECORDS == len([key for key in epoch.pairs if key.startswith(b"k")])
    assert slow.applied * 0.3 > 2 * reader.MAX_STALL_S
    assert sorted(seen) == seen, "the progress decreases"
    assert len({total for _, total in seen}) == 1
    assert len(seen) > 10
    assert all(done <= total for done, total in seen)


async def test_a_restore_without_progress_fails(topics: Topics, proxy: Proxy) -> None:
    with proxy.fault(Api.FETCH, Drop(RESPONSE)), pytest.raises(TimeoutError, match=r"\b1\.5 s\b"):
        async with topics.epoch(0):
            pass
    async with topics.epoch(0) as epoch:
        assert b"k0" in epoch.pairs
