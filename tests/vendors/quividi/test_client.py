"""Requests to VidiCenter are as its document requires, and rows become records."""

from base64 import b64encode
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp import web

from collector.errors import Park
from collector.model import Account, Record, Reject, Window
from collector.vendors.http import http
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import serving
from tests.vendors.quividi.example import EXPERT, PRO, row
from tests.vendors.quividi.vidicenter import (
    HOUR,
    TOKEN,
    USER,
    VidiCenter,
    fetch_all,
    records,
    source,
    stream,
    viewers,
)

pytestmark = pytest.mark.anyio

QUERY = "data_type=viewers&time_resolution=finest&start=2018-01-29T01:00:00&end=2018-01-29T01:59:59"


async def requests_of(window: Window = HOUR, **settings: object) -> list[str]:
    """The raw paths and queries of the requests for a window."""
    vendor = VidiCenter()
    async with viewers(vendor, **settings) as lobby:
        await fetch_all(lobby, window)
    return vendor.calls


async def test_requests_are_as_documented_and_polls_repeat_them() -> None:
    calls = await requests_of(locations=[8866, 1056, 8866])

    assert {f"/api/v1/data/?{QUERY}&locations=1056,8866"} == set(calls)
    assert len(calls) > 2


@pytest.mark.parametrize(
    ("timezone", "start", "end", "bounds"),
    [
        ("UTC", "2026-11-01T00:00:00", "2026-11-01T00:15:00", "start=2026-11-01T00:00:00&end=2026-11-01T00:14:59"),
        ("UTC", "2026-11-01T00:00:59", "2026-11-01T00:01:00", "start=2026-11-01T00:00:59&end=2026-11-01T00:00:59"),
        (
            "Europe/Paris",
            "2026-07-01T22:00:00",
            "2026-07-02T22:00:00",
            "start=2026-07-02T00:00:00&end=2026-07-02T23:59:59",
        ),
        (
            "Asia/Kathmandu",
            "2026-07-01T00:00:00",
            "2026-07-01T01:00:00",
            "start=2026-07-01T05:45:00&end=2026-07-01T06:44:59",
        ),
        (
            "Europe/Paris",
            "2026-10-25T01:00:00",
            "2026-10-25T02:00:00",
            "start=2026-10-25T02:00:00&end=2026-10-25T02:59:59",
        ),
    ],
)
async def test_a_window_is_requested_in_local_time_up_to_its_last_second(
    timezone: str, start: str, end: str, bounds: str
) -> None:
    window = Window(*(datetime.fromisoformat(f"{text}+00:00") for text in (start, end)))
    [call, *_] = await requests_of(window, timezone=timezone)

    assert call.endswith(f"&{bounds}&locations=1056")


async def test_every_request_authenticates() -> None:
    seen: list[str | None] = []
    vendor = VidiCenter()
    vendor.users = {"jürgen": "tökän"}

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return await vendor.handle(request)

    async with serving(handler) as url, http(vendor.clock) as client:
        await fetch_all(stream(url, client, None, username="jürgen", token="tökän"), HOUR)

    assert {"Basic " + b64encode("jürgen:tökän".encode()).decode()} == set(seen)


async def test_many_locations_are_split_into_urls_below_8_kib() -> None:
    ids = list(range(100_000, 103_000))

    calls = dict.fromkeys(await requests_of(locations=ids))

    parts = [call.partition("&locations=")[2].split(",") for call in calls]
    assert list(map(str, ids)) == [number for part in parts for number in part]
    assert max(map(len, calls)) < 8192 - len("https://vidicenter.quividi.com")
    assert len(calls) < 5
    assert not [1 for one, other in pairwise(parts) if len(one) < len(other)]


async def test_each_selector_has_a_request_of_its_own() -> None:
    calls = dict.fromkeys(await requests_of(locations=[2, 1], sites=[178], location_tags=[4], site_tags=[3]))

    path = f"/api/v1/data/?{QUERY}"
    assert [
        f"{path}&locations=1,2",
        f"{path}&sites=178",
        f"{path}&location_tags=4",
        f"{path}&site_tags=3",
    ] == list(calls)


async def test_rows_are_decoded_into_records_and_rejects() -> None:
    rows = b"[" + b", ".join([EXPERT[0], PRO[0], row(gender="x"), row(gender=None, age=None, dwell_time=None)]) + b"]"
    vendor = VidiCenter()
    vendor.data = lambda _: rows
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert [Record, Record, Reject, Record] == [type(one) for one in result.records]
    assert 4 == result.rows
    assert result.size > len(rows)


async def test_viewers_outside_the_window_are_kept() -> None:
    vendor = VidiCenter()
    vendor.data = lambda _: b"[" + b",".join(EXPERT) + b"]"
    async with viewers(vendor) as lobby:
        results = await fetch_all(lobby, Window(START, START + timedelta(hours=1)))

    assert 2 == len(records(results))


async def test_each_selector_has_a_result_of_its_own() -> None:
    vendor = VidiCenter()
    vendor.data = lambda query: b"[" + (EXPERT[0] if "locations" in query else PRO[0] + b"," + PRO[1]) + b"]"
    async with viewers(vendor, sites=[178]) as lobby:
        results = await fetch_all(lobby, HOUR)

    assert [[8866], [8264, 8264]] == [
        [one.payload.row.location_id for one in result.records if isinstance(one, Record)] for result in results
    ]


@pytest.mark.parametrize(
    ("skew_s", "expected_s"), [(0, 0), (3600, 0), (-40, -40), (-3600, -3600), (-60 * 365 * 86400, 0)]
)
async def test_vendor_now_is_the_time_of_the_request(skew_s: int, expected_s: int) -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=7))
    vendor.skew = timedelta(seconds=skew_s)
    async with viewers(vendor) as lobby:
        [result] = await fetch_all(lobby, HOUR)

    assert START + timedelta(seconds=expected_s) == result.vendor_now
    assert vendor.clock.now() > START + timedelta(minutes=7)


async def test_a_missing_token_parks_the_source_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOBBY_TOKEN", raising=False)
    vendor = VidiCenter()
    async with viewers(vendor, token={"env": "LOBBY_TOKEN"}) as lobby:
        with pytest.raises(Park, match="LOBBY_TOKEN") as raised:
            await fetch_all(lobby, HOUR)

    assert "secret_unavailable" == raised.value.code
    assert "sources.lobby.token" in raised.value.advice
    assert [] == vendor.calls


async def test_a_corrected_token_is_used_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    vendor = VidiCenter()
    async with viewers(vendor, token={"file": str(file)}) as lobby:
        for wrong in (None, "wrong"):
            if wrong:
                file.write_text(wrong)
            with pytest.raises(Park):
                await fetch_all(lobby, HOUR)
        file.write_text(TOKEN + "\n")

        assert 1 == len(await fetch_all(lobby, HOUR))


async def test_selection_depends_on_the_ids_but_not_on_their_order() -> None:
    async with http(SimulatedClock()) as client:

        def selection(**settings: object) -> str:
            lobby = stream("http://127.0.0.1", client, None, **settings)
            assert Account("quividi", USER) == lobby.account == source("http://127.0.0.1").account
            return lobby.selection

        assert selection(locations=[1, 2]) == selection(locations=[2, 1, 2])
        others = [{"locations": [12]}, {"locations": [1]}, {"locations": [1], "sites": [2]}, {"locations": [2]}]
        assert 5 == len({selection(locations=[1, 2]), *(selection(**other) for other in others)})
