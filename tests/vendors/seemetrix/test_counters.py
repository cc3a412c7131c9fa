"""Counters: the document's example, and the path whose slash is in doubt."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from collector.errors import NotFound, RetryLater
from collector.model import Window
from collector.telemetry.metrics import Metrics
from tests.vendors.loopback import Handler, serving
from tests.vendors.seemetrix.asking import asked, events, stream_of
from tests.vendors.seemetrix.documented import COUNTERS

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = Window(NOW - timedelta(minutes=1), NOW)
PATHS = ["/api/user/632/counters", "/api/user/632/counters/"]


def knowing(path: str, seen: list[str]) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request.path)
        return web.Response(body=COUNTERS) if request.path == path else web.Response(status=404)

    return handler


async def test_the_documents_example() -> None:
    assert [
        {
            "key": "632",
            "subject": "user/632",
            "time": "2026-11-01T12:00:00.000Z",
            "record_id": "user/632",
            "revision": 0,
            "source": "lobby",
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


async def test_what_the_vendor_counts_is_in_the_metrics() -> None:
    metrics = Metrics()
    await asked(COUNTERS, "counters", MINUTE, None, metrics)
    names = ("devices", "devices_online", "visits_total", "average_visit_seconds")
    assert [3, 1, 324, 6.38] == [
        metrics.registry.get_sample_value("collector_vendor_counters", {"source": "lobby", "counter": name})
        for name in names
    ]


@pytest.mark.parametrize("known", PATHS)
async def test_on_a_404_of_counters_the_other_form_is_tried_once_and_remembered(known: str) -> None:
    seen: list[str] = []
    async with serving(knowing(known, seen)) as url, stream_of(url, "counters", {}) as stream:
        for _ in range(3):
            assert [1] == [answer.rows async for answer in stream.fetch(MINUTE)]
    tried_first = [PATHS[0]] if known == PATHS[1] else []
    assert [*tried_first, known, known, known] == seen


async def test_when_neither_form_is_known_the_stream_is_parked() -> None:
    seen: list[str] = []
    with pytest.raises(NotFound, match="HTTP 404"):
        await asked(knowing("", seen), "counters", MINUTE)
    assert PATHS == seen


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"usr_num": "many"}'])
async def test_what_is_no_answer_is_asked_for_again(body: bytes) -> None:
    with pytest.raises(RetryLater, match="the answer is"):
        await asked(body, "counters", MINUTE)
