"""Counters: the documented example, and the path with and without a trailing slash."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from collector.errors import NotFound, RetryLater
from collector.model import Window
from collector.telemetry.metrics import Metrics
from tests.vendors.loopback import Handler, serving
from tests.vendors.seemetrix.documented import COUNTERS
from tests.vendors.seemetrix.fetching import events, fetched, stream_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = Window(NOW - timedelta(minutes=1), NOW)
PATHS = ["/api/user/632/counters", "/api/user/632/counters/"]


def serving_only(path: str, seen: list[str]) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request.path)
        return web.Response(body=COUNTERS) if request.path == path else web.Response(status=404)

    return handler


async def test_documented_example() -> None:
    assert [
        {
            "key": "user/632",
            "subject": "user/632",
            "time": "2026-11-01T12:00:00.000Z",
            "record_id": "seemetrix/632/counters",
            "revision": 0,
            "user_id": 632,
            "seen_at": "2026-11-01T12:00:00.000Z",
            "device_count": 3,
            "online_device_count": 1,
            "movie_count": 0,
            "visits_hour": 1,
            "visits_day": 8,
            "visits_month": 324,
            "visits_total": 324,
            "average_visit_ms": 6380,
        }
    ] == await events(COUNTERS, "counters", MINUTE)


@pytest.mark.parametrize("number", [b"1e300", b"1.7e308", b"1e400", b"1180591620717411303424"])
async def test_an_average_that_is_no_time_is_null(number: bytes) -> None:
    [event] = await events(COUNTERS.replace(b"6.38", number), "counters", MINUTE)

    assert (324, None) == (event["visits_total"], event["average_visit_ms"])


async def test_counters_are_exported_as_metrics() -> None:
    metrics = Metrics()
    await fetched(COUNTERS, "counters", MINUTE, None, metrics)
    names = ("devices", "devices_online", "visits_total", "average_visit_seconds")
    assert [3, 1, 324, 6.38] == [
        metrics.registry.get_sample_value("collector_vendor_counters", {"source": "lobby", "counter": name})
        for name in names
    ]


@pytest.mark.parametrize("known", PATHS)
async def test_after_a_404_the_other_path_is_tried_and_remembered(known: str) -> None:
    seen: list[str] = []
    async with serving(serving_only(known, seen)) as url, stream_of(url, "counters", {}) as stream:
        for _ in range(3):
            assert [1] == [result.rows async for result in stream.fetch(MINUTE)]
    tried_first = [PATHS[0]] if known == PATHS[1] else []
    assert [*tried_first, known, known, known] == seen


async def test_if_neither_path_exists_the_stream_is_parked() -> None:
    seen: list[str] = []
    with pytest.raises(NotFound):
        await fetched(serving_only("", seen), "counters", MINUTE)
    assert PATHS == seen


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"usr_num": "many"}'])
async def test_an_undocumented_response_raises_retry_later(body: bytes) -> None:
    with pytest.raises(RetryLater) as raised:
        await fetched(body, "counters", MINUTE)

    assert raised.value.code == ("response_is_html" if body == b"<html>" else "response_undocumented")
