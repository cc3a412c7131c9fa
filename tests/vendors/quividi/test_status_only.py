"""A running export is polled with `status_only` only where that is safe: it may be another export for the vendor."""

from collections.abc import Callable
from datetime import timedelta

import anyio
import pytest
from aiohttp import web

from collector.errors import RetryLater
from collector.model import Window
from collector.vendors.http import http
from tests.simulated import START
from tests.vendors.loopback import serving
from tests.vendors.quividi.example import EXPERT
from tests.vendors.quividi.vidicenter import HOUR, VidiCenter, fetch_all, json_response, records, stream, viewers

pytestmark = pytest.mark.anyio

NEXT_HOUR = Window(HOUR.end, HOUR.end + timedelta(hours=1))


def center(*, builds_for: float = 60) -> VidiCenter:
    vendor = VidiCenter(builds_for=timedelta(seconds=builds_for))
    vendor.data = lambda _: b"[" + b",".join(EXPERT) + b"]"
    return vendor


def marks(vendor: VidiCenter) -> str:
    """One letter for each call: `s` with `status_only`, `f` with `force_rebuild`, `-` without both."""
    return "".join("s" if "status_only" in each else "f" if "force_rebuild" in each else "-" for each in vendor.queries)


async def test_it_is_sent_only_after_two_unsuccessful_polls_and_the_rows_are_fetched_without_it() -> None:
    vendor = center()
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert marks(vendor).startswith("---sss")
    assert marks(vendor).endswith("s-")
    assert "-" not in marks(vendor)[3:-1]
    assert (2, 1, START) == (len(records([result])), len(vendor.builds), result.vendor_now)


async def test_it_is_left_out_and_never_false() -> None:
    vendor = center()
    async with viewers(vendor) as lobby:
        await fetch_all(lobby, HOUR)

    assert all("status_only" not in each or each.endswith("&status_only=1") for each in vendor.queries)


async def test_a_failed_export_is_rebuilt_by_what_the_call_without_it_returns() -> None:
    vendor = center()
    vendor.outcome = lambda _: "finished" if vendor.builds else "failed"
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert (1, 2, 2) == (vendor.forced, len(vendor.builds), result.rows)
    assert "s-f-" in marks(vendor)


def status(code: int) -> Callable[[], web.Response]:
    return lambda: json_response(code, {"message": "no", "error": code})


def state(name: str) -> Callable[[], web.Response]:
    return lambda: json_response(200, {"state": name})


@pytest.mark.parametrize("response", [status(400), status(403), status(404), status(429), status(500), state("queued")])
async def test_where_it_is_refused_it_is_not_sent_again(response: Callable[[], web.Response]) -> None:
    vendor = center()
    vendor.overrides = {"status_only": response}
    async with viewers(vendor) as lobby:
        for window in (HOUR, NEXT_HOUR):
            assert 2 == len(records(await fetch_all(lobby, window)))

    assert 1 == marks(vendor).count("s")
    assert (0, 2) == (vendor.forced, len(vendor.builds))


async def test_where_its_response_has_rows_it_is_not_sent_again() -> None:
    vendor = center()
    vendor.status_only = "has rows"
    async with viewers(vendor) as lobby:
        for window in (HOUR, NEXT_HOUR):
            assert 2 == len(records(await fetch_all(lobby, window)))

    assert marks(vendor).count("s-") == 1
    assert marks(vendor).rindex("s") < 12


async def test_a_response_without_rows_is_never_an_export_without_rows() -> None:
    vendor = center()
    vendor.overrides = {"status_only": lambda: json_response(200, {"state": "finished", "data": []})}
    async with viewers(vendor) as lobby:
        assert 2 == len(records(await fetch_all(lobby, HOUR)))


async def test_where_the_two_calls_disagree_it_is_not_sent_again() -> None:
    """The vendor may have finished an export of the call with it, which the process before a restart has started."""
    vendor = center()
    vendor.overrides = {"status_only": state("finished")}
    async with viewers(vendor) as lobby:
        assert 2 == len(records(await fetch_all(lobby, HOUR)))

    assert 1 == marks(vendor).count("s")


async def test_where_it_starts_another_export_it_is_not_sent_again_and_that_export_has_a_slot() -> None:
    vendor = center(builds_for=25)
    vendor.status_only = "other export"
    got: dict[int, int] = {}
    async with serving(vendor.handle) as url, http(vendor.clock) as client, anyio.create_task_group() as tasks:

        async def fetch(number: int) -> None:
            got[number] = len(records(await fetch_all(stream(url, client, None, locations=[number]), HOUR)))

        await fetch(0)
        assert 2 == vendor.running() + 1, "the export of the call with it is still built"
        for number in range(1, 7):
            tasks.start_soon(fetch, number)

    assert dict.fromkeys(range(7), 2) == got
    assert 1 == marks(vendor).count("s")
    assert (0, 0) == (vendor.forced, vendor.rejected)
    assert 7 + 1 == len(vendor.builds)


async def test_where_it_would_start_a_fourth_export_all_exports_are_finished_without_it() -> None:
    vendor = center(builds_for=600)
    vendor.status_only = "other export"
    got: dict[int, int] = {}
    async with serving(vendor.handle) as url, http(vendor.clock) as client, anyio.create_task_group() as tasks:

        async def fetch(number: int) -> None:
            got[number] = len(records(await fetch_all(stream(url, client, None, locations=[number]), HOUR)))

        for number in range(3):
            tasks.start_soon(fetch, number)

    assert dict.fromkeys(range(3), 2) == got
    assert 1 <= vendor.rejected <= 3
    assert 3 == len(vendor.builds)
    assert vendor.clock.now() - START < timedelta(minutes=13)


async def test_the_next_attempt_starts_without_it() -> None:
    vendor = center(builds_for=600)
    vendor.overrides = {4: status(500), 5: status(500)}
    async with viewers(vendor) as lobby:
        with pytest.raises(RetryLater):
            await fetch_all(lobby, HOUR)
        calls = len(vendor.calls)
        await fetch_all(lobby, HOUR)

    assert "s-" == marks(vendor)[calls - 2 : calls]
    assert "-" == marks(vendor)[calls]
