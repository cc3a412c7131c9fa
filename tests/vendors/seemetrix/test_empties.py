"""Empty responses of Seemetrix in undocumented forms."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web

from collector.errors import RetryLater
from collector.model import FetchResult, Window
from collector.vendors.base import Stream
from collector.vendors.empties import MAX_UNPROVEN
from tests.vendors.loopback import serving
from tests.vendors.seemetrix.documented import DEVICES, TREE_AS_LIST, USER_STATISTICS
from tests.vendors.seemetrix.example import RAW_DATA
from tests.vendors.seemetrix.fetching import stream_of

pytestmark = pytest.mark.anyio

START = datetime(2026, 7, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Body = tuple[int, bytes]
EMPTY: tuple[Body, ...] = (
    (200, b"{}"),
    (200, b'{"objects": null}'),
    (204, b""),
    (203, b'{"objects": null, "total": 0}'),
)
STREAMS: dict[str, tuple[dict[str, object], bytes]] = {
    "sessions": ({}, RAW_DATA),
    "statistics": ({}, USER_STATISTICS),
    "breakdown": ({"levels": ["movies", "ages", "devices"], "resolution": "1h"}, TREE_AS_LIST),
}


class Vendor:
    """Responds with `body`."""

    def __init__(self, body: Body) -> None:
        self.body = body
        self.with_rows: str | None = None
        """The query of the only request that receives `rows` instead."""
        self.rows = b""
        self.queries: list[str] = []

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.queries.append(request.query_string)
        status, body = self.body
        if self.with_rows is not None and request.query_string == self.with_rows:
            body = self.rows
        return web.Response(status=status, body=body)


@asynccontextmanager
async def requesting(name: str, body: Body) -> AsyncIterator[tuple[Vendor, Stream[Any]]]:
    vendor = Vendor(body)
    table = STREAMS[name][0] if name in STREAMS else {}
    async with serving(vendor.handle) as url, stream_of(url, name, table) as stream:
        yield vendor, stream


async def fetch(stream: Stream[Any], hour: int) -> FetchResult[Any]:
    window = Window(START + hour * HOUR, START + (hour + 1) * HOUR)
    results = []
    async for result in stream.fetch(window):
        list(result.records)
        results.append(result)
    (only,) = results
    return only


@pytest.mark.parametrize("empty", EMPTY, ids=["{}", "null", "204", "203"])
@pytest.mark.parametrize("name", STREAMS)
async def test_it_is_empty_after_rows_of_another_window(name: str, empty: Body) -> None:
    async with requesting(name, empty) as (vendor, stream):
        for _ in range(3):
            with pytest.raises(RetryLater) as raised:
                await fetch(stream, 1)
            assert "response_undocumented" == raised.value.code
        vendor.body = 200, STREAMS[name][1]
        assert (await fetch(stream, 0)).rows > 0
        vendor.body = empty
        assert 0 == (await fetch(stream, 1)).rows
        with pytest.raises(RetryLater):
            await fetch(stream, 0)


@pytest.mark.parametrize("name", STREAMS)
async def test_a_format_that_has_changed_is_noticed(name: str) -> None:
    async with requesting(name, (200, STREAMS[name][1])) as (vendor, stream):
        await fetch(stream, 0)
        vendor.body = 200, b"{}"
        for hour in range(1, MAX_UNPROVEN + 1):
            assert 0 == (await fetch(stream, hour)).rows
        for _ in range(3):
            with pytest.raises(RetryLater) as raised:
                await fetch(stream, MAX_UNPROVEN + 1)
            assert "response_undocumented" == raised.value.code


@pytest.mark.parametrize("name", STREAMS)
async def test_a_long_time_without_data_is_passed_by_repeating_the_request_that_had_rows(name: str) -> None:
    async with requesting(name, (200, STREAMS[name][1])) as (vendor, stream):
        await fetch(stream, 0)
        (first,) = set(vendor.queries)
        vendor.queries.clear()
        vendor.with_rows, vendor.rows, vendor.body = first, STREAMS[name][1], (200, b"{}")
        for hour in range(1, 100):
            assert 0 == (await fetch(stream, hour)).rows
        assert 0 < vendor.queries.count(first) <= 99 // MAX_UNPROVEN


async def test_202_is_not_a_response_yet() -> None:
    async with requesting("sessions", (202, RAW_DATA)) as (_, stream):
        with pytest.raises(RetryLater) as raised:
            await fetch(stream, 0)
    assert "http_202" == raised.value.code


async def test_203_is_a_response() -> None:
    async with requesting("sessions", (203, RAW_DATA)) as (_, stream):
        assert (await fetch(stream, 0)).rows > 0


@pytest.mark.parametrize("name", ["counters", "devices"])
async def test_a_snapshot_without_content_is_no_snapshot(name: str) -> None:
    async with requesting(name, (204, b"")) as (_, stream):
        with pytest.raises(RetryLater) as raised:
            await fetch(stream, 0)
    assert "response_undocumented" == raised.value.code


NO_LISTS = b'{"online": null, "offline": null, "frozen": null}'


async def test_a_null_list_of_devices_is_empty_after_rows_and_never_whole() -> None:
    partly = msgspec.json.encode(msgspec.json.decode(DEVICES) | {"frozen": None})
    async with requesting("devices", (200, partly)) as (vendor, stream):
        with pytest.raises(RetryLater):
            await fetch(stream, 0)
        for hour in range(1, 3 * MAX_UNPROVEN):
            result = await fetch(stream, hour)
            assert (2, False) == (result.rows, result.is_whole)
        vendor.body = 200, DEVICES
        assert (await fetch(stream, 100)).is_whole


async def test_devices_whose_lists_are_all_null_are_accepted_for_a_while_and_never_whole() -> None:
    async with requesting("devices", (200, NO_LISTS)) as (vendor, stream):
        with pytest.raises(RetryLater):
            await fetch(stream, 0)
        vendor.body = 200, DEVICES
        await fetch(stream, 1)
        vendor.body = 200, NO_LISTS
        for hour in range(2, 2 + MAX_UNPROVEN):
            assert not (await fetch(stream, hour)).is_whole
        with pytest.raises(RetryLater):
            await fetch(stream, 2 + MAX_UNPROVEN)
