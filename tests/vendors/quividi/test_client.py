"""VidiCenter is asked exactly as its document says, and taken at its word only where it keeps to it."""

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
    ask,
    records,
    source,
    stream,
    viewers,
)

pytestmark = pytest.mark.anyio

QUERY = "data_type=viewers&time_resolution=finest&start=2018-01-29T01:00:00&end=2018-01-29T01:59:59"


async def asked_for(window: Window = HOUR, **settings: object) -> list[str]:
    """Paths and queries as they stood on the wire."""
    vendor = VidiCenter()
    async with viewers(vendor, **settings) as lobby:
        await ask(lobby, window)
    return vendor.calls


async def test_every_call_is_the_documents_to_the_letter_and_a_poll_is_the_same_call() -> None:
    calls = await asked_for(locations=[8866, 1056, 8866])

    assert {f"/api/v1/data/?{QUERY}&locations=1056,8866"} == set(calls)
    assert len(calls) > 2


@pytest.mark.parametrize(
    ("timezone", "start", "end", "asked"),
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
async def test_a_window_is_asked_for_in_local_time_with_its_last_second(
    timezone: str, start: str, end: str, asked: str
) -> None:
    window = Window(*(datetime.fromisoformat(f"{text}+00:00") for text in (start, end)))
    [call, *_] = await asked_for(window, timezone=timezone)

    assert call.endswith(f"&{asked}&locations=1056")


async def test_the_user_and_the_token_are_in_a_header_of_every_call() -> None:
    seen: list[str | None] = []
    vendor = VidiCenter()
    vendor.users = {"jürgen": "tökän"}

    async def handler(request: web.BaseRequest) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return await vendor.answer(request)

    async with serving(handler) as url, http(vendor.clock) as asking:
        await ask(stream(url, asking, None, username="jürgen", token="tökän"), HOUR)

    assert {"Basic " + b64encode("jürgen:tökän".encode()).decode()} == set(seen)


async def test_many_locations_are_asked_about_once_each_in_urls_of_8_kib_at_most() -> None:
    ids = list(range(100_000, 103_000))

    calls = dict.fromkeys(await asked_for(locations=ids))

    parts = [call.partition("&locations=")[2].split(",") for call in calls]
    assert list(map(str, ids)) == [number for part in parts for number in part]
    assert max(map(len, calls)) < 8192 - len("https://vidicenter.quividi.com")
    assert len(calls) < 5
    assert not [1 for one, other in pairwise(parts) if len(one) < len(other)]


async def test_each_kind_of_selection_is_a_request_of_its_own() -> None:
    calls = dict.fromkeys(await asked_for(locations=[2, 1], sites=[178], location_tags=[4], site_tags=[3]))

    path = f"/api/v1/data/?{QUERY}"
    assert [
        f"{path}&locations=1,2",
        f"{path}&sites=178",
        f"{path}&location_tags=4",
        f"{path}&site_tags=3",
    ] == list(calls)


async def test_the_rows_of_an_export_come_out_as_records_and_rejects() -> None:
    rows = b"[" + b", ".join([EXPERT[0], PRO[0], row(gender="x"), row(gender=None, age=None, dwell_time=None)]) + b"]"
    vendor = VidiCenter()
    vendor.data = lambda _: rows
    async with viewers(vendor) as lobby:
        [answer] = await ask(lobby, HOUR)

    assert [Record, Record, Reject, Record] == [type(one) for one in answer.records]
    assert 4 == answer.rows
    assert answer.size > len(rows)


async def test_a_viewer_is_passed_on_wherever_and_whenever_it_was() -> None:
    vendor = VidiCenter()
    vendor.data = lambda _: b"[" + b",".join(EXPERT) + b"]"
    async with viewers(vendor) as lobby:
        answers = await ask(lobby, Window(START, START + timedelta(hours=1)))

    assert 2 == len(records(answers))


async def test_every_part_of_a_selection_has_its_own_answer() -> None:
    vendor = VidiCenter()
    vendor.data = lambda query: b"[" + (EXPERT[0] if "locations" in query else PRO[0] + b"," + PRO[1]) + b"]"
    async with viewers(vendor, sites=[178]) as lobby:
        answers = await ask(lobby, HOUR)

    assert [[8866], [8264, 8264]] == [
        [one.payload.row.location_id for one in answer.records if isinstance(one, Record)] for answer in answers
    ]


@pytest.mark.parametrize(("ahead_s", "expected_s"), [(0, 0), (3600, 0), (-40, -40)])
async def test_the_answer_holds_what_the_vendor_had_when_the_export_was_asked_for(
    ahead_s: int, expected_s: int
) -> None:
    vendor = VidiCenter(builds_for=timedelta(minutes=7))
    vendor.skew = timedelta(seconds=ahead_s)
    async with viewers(vendor) as lobby:
        [answer] = await ask(lobby, HOUR)

    assert START + timedelta(seconds=expected_s) == answer.vendor_now
    assert vendor.clock.now() > START + timedelta(minutes=7)


async def test_a_token_that_is_not_there_parks_the_source_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOBBY_TOKEN", raising=False)
    vendor = VidiCenter()
    async with viewers(vendor, token={"env": "LOBBY_TOKEN"}) as lobby:
        with pytest.raises(Park, match="LOBBY_TOKEN") as raised:
            await ask(lobby, HOUR)

    assert "sources.lobby.token" in raised.value.advice
    assert [] == vendor.calls


async def test_a_corrected_token_counts_at_once(tmp_path: Path) -> None:
    file = tmp_path / "token"
    vendor = VidiCenter()
    async with viewers(vendor, token={"file": str(file)}) as lobby:
        for wrong in (None, "wrong"):
            if wrong:
                file.write_text(wrong)
            with pytest.raises(Park):
                await ask(lobby, HOUR)
        file.write_text(TOKEN + "\n")

        assert 1 == len(await ask(lobby, HOUR))


async def test_a_selection_changes_with_what_is_chosen_and_not_with_its_order() -> None:
    async with http(SimulatedClock()) as asking:

        def selection(**settings: object) -> str:
            lobby = stream("http://127.0.0.1", asking, None, **settings)
            assert Account("quividi", USER) == lobby.account == source("http://127.0.0.1").account
            return lobby.selection

        assert selection(locations=[1, 2]) == selection(locations=[2, 1, 2])
        others = [{"locations": [12]}, {"locations": [1]}, {"locations": [1], "sites": [2]}, {"locations": [2]}]
        assert 5 == len({selection(locations=[1, 2]), *(selection(**other) for other in others)})
