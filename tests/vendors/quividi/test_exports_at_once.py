"""The vendor builds three exports of an account at once, and never refuses us a fourth."""

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
from collector.vendors.quividi.wire import LocatedViewer
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import serving, until
from tests.vendors.quividi.vidicenter import HOUR, VidiCenter, ask, stream

pytestmark = pytest.mark.anyio


async def test_the_sources_of_an_account_have_three_exports_at_once_and_each_gets_its_own() -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=10))
    got: dict[int, int] = {}

    async with serving(vendor.answer) as url, http(vendor.clock) as asking, anyio.create_task_group() as tasks:

        async def follow(number: int) -> None:
            got[number] = len(await ask(stream(url, asking, None, locations=[number]), HOUR))

        for number in range(8):
            tasks.start_soon(follow, number)

    assert dict.fromkeys(range(8), 1) == got
    assert (3, 0) == (vendor.most_running, vendor.refused)
    assert (0, 8) == (vendor.forced, len(vendor.builds))


async def test_two_sources_that_ask_for_the_same_share_its_export() -> None:
    vendor = VidiCenter()
    got: list[FetchResult[LocatedViewer]] = []

    async with serving(vendor.answer) as url, http(vendor.clock) as asking, anyio.create_task_group() as tasks:

        async def follow() -> None:
            got.extend(await ask(stream(url, asking, None), HOUR))

        for _ in range(2):
            tasks.start_soon(follow)

    assert 1 == len(vendor.builds)
    assert [True, True] == [answer.vendor_now is not None and answer.vendor_now <= START for answer in got]


async def test_each_account_has_three_exports_and_all_of_them_two_connections() -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=10))
    vendor.users = {"ann": "t1", "bob": "t2"}
    vendor.hesitates = 50
    async with serving(vendor.answer) as url, http(vendor.clock) as asking, anyio.create_task_group() as tasks:
        for username, token in vendor.users.items():
            for number in range(4):
                lobby = stream(url, asking, None, username=username, token=token, locations=[number])
                tasks.start_soon(ask, lobby, HOUR)

    assert (2, 0, 8) == (vendor.most_connections, vendor.refused, len(vendor.builds))


async def test_exports_that_are_left_running_keep_their_places_for_as_long_as_the_vendor_says() -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=5))
    async with serving(vendor.answer) as url, http(vendor.clock) as asking:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(ask, stream(url, asking, None, locations=[number]), HOUR)
            await until(lambda: [2, 2, 2] <= sorted(Counter(vendor.calls).values()))
            tasks.cancel_scope.cancel()
        left_at = vendor.clock.now()
        await ask(stream(url, asking, None, locations=[7]), HOUR)

    assert 3 == vendor.most_running
    assert 0 < vendor.refused < 20
    assert timedelta(minutes=5) < vendor.builds[3].began - left_at < timedelta(minutes=7)


async def test_how_many_exports_are_under_way_is_told() -> None:
    metrics, vendor = Metrics(), VidiCenter(builds_for=timedelta(minutes=10))

    def told() -> float | None:
        return metrics.registry.get_sample_value("collector_exports_in_flight", {"source": "lobby"})

    async with serving(vendor.answer) as url, http(vendor.clock) as asking, anyio.create_task_group() as tasks:
        lobby = stream(url, asking, VendorTelemetry(metrics, "lobby"))
        tasks.start_soon(ask, lobby, HOUR)
        tasks.start_soon(ask, lobby, Window(HOUR.end, HOUR.end + timedelta(hours=1)))
        await until(lambda: len(vendor.builds) == 2)
        under_way = told()

    assert (2, 0) == (under_way, told())


async def test_places_are_given_in_turn_and_who_stops_waiting_holds_up_nobody() -> None:
    clock = SimulatedClock()
    exports, order, impatient = Exports(clock), [], anyio.CancelScope()

    async def follow(number: int, *, patiently: bool = True) -> None:
        with anyio.CancelScope() if patiently else impatient:
            async with exports.slot(str(number)):
                order.append(number)
                await clock.until(clock.now() + timedelta(minutes=10 - number))

    async with anyio.create_task_group() as tasks:
        for number in range(9):
            tasks.start_soon(partial(follow, number, patiently=number != 4))
        await until(lambda: len(order) == 3)
        impatient.cancel()

    assert [0, 1, 2, 3, 5, 6, 7, 8] == order


async def test_who_follows_an_export_that_is_followed_already_waits_for_no_place() -> None:
    exports = Exports(SimulatedClock())

    async with exports.slot("a"), exports.slot("b"), exports.slot("c"):
        with anyio.fail_after(1):
            async with exports.slot("b"):
                pass
        assert 3 == len(exports._taken())


async def test_exports_that_were_left_running_hold_up_nobody_for_long() -> None:
    """Streams that were handed over and taken back leave some: whether they still run, the vendor knows best."""
    clock = SimulatedClock()
    exports = Exports(clock)
    for name in "abc":
        exports.put(name, Export(START, requested_at=START, is_running=True))
    async with exports.slot("d"):
        assert clock.now() - START <= SLOT_KEPT_FOR
