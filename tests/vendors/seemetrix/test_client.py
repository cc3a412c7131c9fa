"""Requests to Seemetrix are as its document requires, and only documented responses are accepted."""

import gzip
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from collector.errors import CollectorError, Park, RetryLater, Split
from collector.model import Account, Record, Reject, Window
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors import seemetrix
from collector.vendors.http import http
from collector.vendors.seemetrix.client import probe
from collector.vendors.seemetrix.settings import SeemetrixSource
from collector.vendors.seemetrix.streams import Sessions, streams
from tests.rows import published_rows
from tests.simulated import SimulatedClock
from tests.vendors.loopback import KEY, Handler, assert_no_key, responding, serving
from tests.vendors.seemetrix.example import DEVICES, RAW_DATA, SESSION, row

pytestmark = pytest.mark.anyio

START = datetime(2019, 7, 1, 11, tzinfo=UTC)
HOUR = Window(START, START + timedelta(hours=1))
EMPTY = b'{"objects": []}'
RAW_PATH = "/api/statistics/user/864/raw/data/"
RAW_KEY = "key=s3cr3t%20k%26y%2B/%3D"


def source(url: str, **settings: object) -> SeemetrixSource:
    given = {"vendor": "seemetrix", "base_url": f"{url}/api", "user_id": 864, "user_key": KEY, "timeout": "1s"}
    return SeemetrixSource.model_validate(given | settings)


@asynccontextmanager
async def sessions(url: str, **settings: object) -> AsyncIterator[Sessions]:
    async with http(SimulatedClock()) as client:
        [stream] = streams("lobby", source(url, **settings), client, standalone_telemetry())
        assert isinstance(stream, Sessions)
        yield stream


async def fetch_all(stream: Sessions, window: Window = HOUR) -> list[list[Record[seemetrix.wire.Session] | Reject]]:
    return [published_rows(result.records) async for result in stream.fetch(window)]


async def probed(url: str, **settings: object) -> str:
    async with http(SimulatedClock()) as client:
        return (await probe("lobby", source(url, **settings), client, standalone_telemetry())).text


async def requests_of(window: Window = HOUR, **settings: object) -> list[str]:
    """The raw paths and queries of the requests for a window."""
    seen: list[str] = []
    async with serving(responding(EMPTY, seen=seen)) as url, sessions(url, **settings) as stream:
        await fetch_all(stream, window)
    return seen


async def test_a_request_is_as_documented() -> None:
    query = "b=2019/07/01%2011:00:00&e=2019/07/01%2012:00:00&tzo=0"

    assert [f"{RAW_PATH}?{RAW_KEY}&{query}"] == await requests_of()


async def test_the_requested_end_is_that_of_the_window() -> None:
    first = datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC)

    [path] = await requests_of(Window(first, first + timedelta(seconds=1)))

    assert path.endswith("&b=2020/02/29%2023:59:59&e=2020/03/01%2000:00:00&tzo=0")


async def test_each_selected_device_is_requested_once() -> None:
    query = "b=2019/07/01%2011:00:00&e=2019/07/01%2012:00:00&tzo=0"

    assert [f"{RAW_PATH}?{RAW_KEY}&{query}&device_id={device}" for device in (7, 5315)] == await requests_of(
        device_ids=[5315, 7, 5315]
    )


async def test_a_trailing_slash_of_base_url_is_ignored() -> None:
    seen: list[str] = []
    async with serving(responding(EMPTY, seen=seen)) as url, sessions(url, base_url=f"{url}/api/") as stream:
        await fetch_all(stream)

    assert [RAW_PATH] == [path.partition("?")[0] for path in seen]


async def test_rows_are_decoded_into_records_and_rejects() -> None:
    body = b'{"objects": [' + SESSION + b"," + row(o=None) + b"]}"
    dated = responding(body, headers={"Date": "Wed, 01 Jul 2026 12:05:00 GMT"})
    async with serving(dated) as url, sessions(url) as stream, aclosing(stream.fetch(HOUR)) as results:
        result = await anext(results)
        rows = list(result.records)

    assert [Record, Reject] == [type(one) for one in rows]
    assert (2, len(body)) == (result.rows, result.size)
    assert datetime(2026, 7, 1, 12, 5, tzinfo=UTC) == result.vendor_now


async def test_sessions_outside_the_window_are_kept() -> None:
    elsewhere = Window(START + timedelta(days=90), START + timedelta(days=91))
    async with serving(responding(RAW_DATA)) as url, sessions(url) as stream:
        [[got]] = await fetch_all(stream, elsewhere)

    assert isinstance(got, Record)


async def test_each_device_has_a_result_of_its_own() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        device = int(request.query["device_id"])
        return web.Response(body=b'{"objects": [' + row(d=device) + b"]}")

    async with serving(handler) as url, sessions(url, device_ids=[3, 1, 2]) as stream:
        results = await fetch_all(stream)

    assert [[1], [2], [3]] == [[one.payload.d for one in rows if isinstance(one, Record)] for rows in results]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"message": "maintenance"}',
        b'{"objects": null}',
        b"[]",
        b"[" + SESSION + b"]",
        RAW_DATA[:-100],
        b"",
        b"null",
        b'{"new": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b', "objects": []}',
    ],
    ids=["empty", "a message", "null", "empty list", "list", "half", "nothing", "null body", "deep"],
)
async def test_an_undocumented_response_raises_retry_later(body: bytes) -> None:
    async with serving(responding(body)) as url, sessions(url) as stream:
        with pytest.raises(RetryLater) as raised:
            await fetch_all(stream)

    assert "response_undocumented" == raised.value.code
    assert_no_key(raised.value)
    assert "maintenance" not in str(raised.value)


async def test_a_truncated_compressed_body_raises_retry_later() -> None:
    packed = gzip.compress(RAW_DATA)
    half = responding(packed[: len(packed) // 2], headers={"Content-Encoding": "gzip"})
    async with serving(half) as url, sessions(url) as stream:
        with pytest.raises(RetryLater):
            await fetch_all(stream)


async def test_an_html_page_raises_retry_later() -> None:
    page = responding(f"\n <!DOCTYPE html><p>sign in with {KEY}".encode(), headers={"Content-Type": "text/html"})
    async with serving(page) as url, sessions(url) as stream:
        with pytest.raises(RetryLater) as raised:
            await fetch_all(stream)

    assert "response_is_html" == raised.value.code
    assert_no_key(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Park), (403, Park), (404, Park), (413, Split), (429, RetryLater), (500, RetryLater)]
)
async def test_error_statuses_are_passed_to_the_caller(status: int, kind: type[CollectorError]) -> None:
    async with serving(responding(status=status)) as url, sessions(url) as stream:
        with pytest.raises(kind) as raised:
            await fetch_all(stream)

    assert f"http_{status}" == raised.value.code
    assert_no_key(raised.value)


async def test_results_before_a_failure_stay_valid() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=RAW_DATA) if request.query["device_id"] == "1" else web.Response(status=500)

    async with (
        serving(handler) as url,
        sessions(url, device_ids=[1, 2]) as stream,
        aclosing(stream.fetch(HOUR)) as results,
    ):
        result = await anext(results)
        [got] = result.records
        with pytest.raises(RetryLater):
            await anext(results)

    assert isinstance(got, Record)


async def test_unread_and_malformed_responses_free_their_share_of_memory() -> None:
    bodies = [RAW_DATA, b"[]"] * 5 + [RAW_DATA] * 2

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(body=bodies.pop(0))

    async with serving(handler) as url, sessions(url) as stream:
        for _ in range(5):
            async with aclosing(stream.fetch(HOUR)) as results:
                await anext(results)
            with pytest.raises(RetryLater):
                await fetch_all(stream)

        assert [1, 1] == [len(rows) for _ in range(2) for rows in await fetch_all(stream)]


async def test_a_missing_key_parks_the_source_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOBBY_KEY", raising=False)
    seen: list[str] = []
    async with serving(responding(EMPTY, seen=seen)) as url, sessions(url, user_key={"env": "LOBBY_KEY"}) as stream:
        with pytest.raises(Park, match="LOBBY_KEY") as raised:
            await fetch_all(stream)

    assert "secret_unavailable" == raised.value.code
    assert "sources.lobby.user_key" in raised.value.advice
    assert [] == seen


async def test_a_corrected_key_is_used_at_once(tmp_path: Path) -> None:
    file = tmp_path / "key"

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=EMPTY) if request.query["key"] == KEY else web.Response(status=401)

    async with serving(handler) as url, sessions(url, user_key={"file": str(file)}) as stream:
        for wrong in (None, "wrong"):
            if wrong:
                file.write_text(wrong)
            with pytest.raises(Park):
                await fetch_all(stream)
        file.write_text(KEY + "\n")

        assert [[]] == await fetch_all(stream)


def devices(seen: list[str] | None = None) -> Handler:
    return responding(DEVICES, seen=seen)


@pytest.mark.parametrize("path", ["/api", "/analytics/api", "/analytics/api/"])
async def test_requests_are_below_the_path_of_any_base_url(path: str) -> None:
    """The vendor's second address has a longer path."""
    seen: list[str] = []
    async with serving(responding(DEVICES, seen=seen)) as url:
        assert "3 devices" == await probed(url, base_url=f"{url}{path}")
    assert [f"{path.rstrip('/')}/user/864/devices/?{RAW_KEY}"] == seen


async def test_the_probe_counts_devices() -> None:
    seen: list[str] = []
    async with serving(devices(seen)) as url:
        assert "3 devices" == await probed(url)

    assert [f"/api/user/864/devices/?{RAW_KEY}"] == seen


async def test_the_probe_accepts_offline_and_frozen_devices() -> None:
    async with serving(devices()) as url:
        assert "3 devices" == await probed(url, device_ids=[2899, 3024, 3035])


async def test_foreign_devices_park_the_source_and_are_named() -> None:
    async with serving(devices()) as url:
        with pytest.raises(Park, match="7, 5315") as raised:
            await probed(url, device_ids=[5315, 3024, 7])

    assert "unknown_ids" == raised.value.code
    assert "sources.lobby.device_ids" in raised.value.advice


@pytest.mark.parametrize("body", [b"[]", b"<html>", DEVICES[:-10], b'{"online": {}}'])
async def test_an_undocumented_list_of_devices_raises_retry_later(body: bytes) -> None:
    async with serving(responding(body)) as url:
        with pytest.raises(RetryLater) as raised:
            await probed(url)

    assert_no_key(raised.value)


async def test_selection_depends_on_the_devices_but_not_on_their_order() -> None:
    async with http(SimulatedClock()) as client:

        def selection(**settings: object) -> str:
            [stream] = streams("lobby", source("http://127.0.0.1", **settings), client, standalone_telemetry())
            assert Account("seemetrix", "864") == stream.account
            return stream.selection

        assert selection(device_ids=[1, 2]) == selection(device_ids=[2, 1, 2])
        assert 3 == len({selection(), selection(device_ids=[1, 2]), selection(device_ids=[12])})


async def test_without_tables_a_source_runs_the_main_stream() -> None:
    async with http(SimulatedClock()) as client:
        found = streams("lobby", source("http://127.0.0.1", streams={}), client, standalone_telemetry())
        assert ["sessions"] == [stream.name for stream in found]
