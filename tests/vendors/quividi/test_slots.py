"""The vendor builds three exports of an account at a time, and never has to reject a fourth."""

from collections import Counter
from datetime import timedelta
from functools import partial

import anyio
import pytest

from collector.model import FetchResult, Window
from collector.telemetry.metrics import Metrics
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.http import http
from collector.vendors.quividi.export import Export
from collector.vendors.quividi.slots import SLOT_KEPT_FOR, Exports
from collector.vendors.quividi.viewers import LocatedViewer
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import serving, wait_until
from tests.vendors.quividi.vidicenter import HOUR, VidiCenter, fetch_all, stream

pytestmark = pytest.mark.anyio


async def test_sources_of_an_account_share_three_slots() -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=10))
    got: dict[int, int] = {}

    async with serving(vendor.handle) as url, http(vendor.clock) as client, anyio.create_task_group() as tasks:

        async def fetch(number: int) -> None:
            got[number] = len(await fetch_all(stream(url, client, None, locations=[number]), HOUR))

        for number in range(8):
            tasks.start_soon(fetch, number)

    assert dict.fromkeys(range(8), 1) == got
    assert (3, 0) == (vendor.max_running, vendor.rejected)
    assert (0, 8) == (vendor.forced, len(vendor.builds))


async def test_equal_requests_share_an_export() -> None:
    vendor = VidiCenter()
    got: list[FetchResult[LocatedViewer]] = []

    async with serving(vendor.handle) as url, http(vendor.clock) as client, anyio.create_task_group() as tasks:

        async def fetch() -> None:
            got.extend(await fetch_all(stream(url, client, None), HOUR))

        for _ in range(2):
            tasks.start_soon(fetch)

    assert 1 == len(vendor.builds)
    assert [True, True] == [result.vendor_now is not None and result.vendor_now <= START for result in got]


async def test_accounts_have_three_slots_each_and_share_two_connections() -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=10))
    vendor.users = {"ann": "t1", "bob": "t2"}
    vendor.delay_checkpoints = 50
    async with serving(vendor.handle) as url, http(vendor.clock) as client, anyio.create_task_group() as tasks:
        for username, token in vendor.users.items():
            for number in range(4):
                lobby = stream(url, client, None, username=username, token=token, locations=[number])
                tasks.start_soon(fetch_all, lobby, HOUR)

    assert (2, 0, 8) == (vendor.max_connections, vendor.rejected, len(vendor.builds))


async def test_exports_that_are_left_running_keep_their_places_for_as_long_as_the_vendor_says() -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=5))
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(fetch_all, stream(url, client, None, locations=[number]), HOUR)
            await wait_until(lambda: [2, 2, 2] <= sorted(Counter(vendor.calls).values()))
            tasks.cancel_scope.cancel()
        left_at = vendor.clock.now()
        await fetch_all(stream(url, client, None, locations=[7]), HOUR)

    assert 3 == vendor.max_running
    assert 0 < vendor.rejected < 20
    assert min(each.ends for each in vendor.builds[:3]) <= vendor.builds[3].started_at < left_at + timedelta(minutes=7)


async def test_exports_in_flight_are_counted() -> None:
    metrics, vendor = Metrics(), VidiCenter(builds_for=timedelta(minutes=10))

    def in_flight() -> float | None:
        return metrics.registry.get_sample_value("collector_exports_in_flight", {"source": "lobby"})

    async with serving(vendor.handle) as url, http(vendor.clock) as client, anyio.create_task_group() as tasks:
        lobby = stream(url, client, VendorTelemetry(metrics, "lobby"))
        tasks.start_soon(fetch_all, lobby, HOUR)
        tasks.start_soon(fetch_all, lobby, Window(HOUR.end, HOUR.end + timedelta(hours=1)))
        await wait_until(lambda: len(vendor.builds) == 2)
        while_building = in_flight()

    assert (2, 0) == (while_building, in_flight())


async def test_slots_are_given_in_order_and_a_cancelled_waiter_blocks_no_other() -> None:
    clock = SimulatedClock()
    exports, order, cancelled = Exports(clock), [], anyio.CancelScope()

    async def fetch(number: int, *, waits: bool = True) -> None:
        with anyio.CancelScope() if waits else cancelled:
            async with exports.slot(str(number)):
                order.append(number)
                await clock.until(clock.now() + timedelta(minutes=10 - number))

    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(partial(fetch, number, waits=number != 4))
        await wait_until(lambda: len(order) == 3)
        cancelled.cancel()

    assert [0, 1, 2, 3, 5, 6, 7, 8] == order


async def test_polling_a_polled_export_needs_no_slot() -> None:
    exports = Exports(SimulatedClock())

    async with exports.slot("a"), exports.slot("b"), exports.slot("c"):
        with anyio.fail_after(1):
            async with exports.slot("b"):
                pass
        assert 3 == len(exports._taken())


async def test_a_running_export_keeps_its_slot_for_a_while_after_a_long_wait_for_a_poll_that_fails() -> None:
    clock = SimulatedClock()
    exports = Exports(clock)
    async with exports.slot("a"):
        exports.put("a", Export(START, requested_at=START, is_running=True))
        clock.pass_s(300)
    assert {"a"} == exports._taken()
    clock.pass_s(SLOT_KEPT_FOR.total_seconds())
    assert set() == exports._taken()


async def test_abandoned_running_exports_free_their_slots_soon() -> None:
    """Streams that moved to another replica and back leave some. Only the vendor knows whether they still run."""
    clock = SimulatedClock()
    exports = Exports(clock)
    for name in "abc":
        exports.put(name, Export(START, requested_at=START, is_running=True))
    async with exports.slot("d"):
        assert clock.now() - START <= SLOT_KEPT_FOR
