"""Seemetrix is asked exactly as its document says, and taken at its word only where it keeps to it."""

import gzip
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from collector.errors import Park, RetryLater, Split
from collector.model import Account, Record, Reject, Window
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors import seemetrix
from collector.vendors.http import http
from collector.vendors.seemetrix.client import probe
from collector.vendors.seemetrix.settings import SeemetrixSource
from collector.vendors.seemetrix.streams import Sessions, streams
from tests.simulated import SimulatedClock
from tests.vendors.loopback import KEY, Handler, answering, assert_keeps_the_key, serving
from tests.vendors.seemetrix.example import DEVICES, RAW_DATA, SESSION, row

pytestmark = pytest.mark.anyio

BEGIN = datetime(2019, 7, 1, 11, tzinfo=UTC)
HOUR = Window(BEGIN, BEGIN + timedelta(hours=1))
EMPTY = b'{"objects": []}'
RAW_PATH = "/api/statistics/user/864/raw/data/"
RAW_KEY = "key=s3cr3t%20k%26y%2B/%3D"


def source(url: str, **settings: object) -> SeemetrixSource:
    given = {"vendor": "seemetrix", "base_url": f"{url}/api", "user_id": 864, "user_key": KEY, "timeout": "1s"}
    return SeemetrixSource.model_validate(given | settings)


@asynccontextmanager
async def sessions(url: str, **settings: object) -> AsyncIterator[Sessions]:
    async with http(SimulatedClock()) as asking:
        [stream] = streams("lobby", source(url, **settings), asking, standalone_telemetry())
        assert isinstance(stream, Sessions)
        yield stream


async def ask(stream: Sessions, window: Window = HOUR) -> list[list[Record[seemetrix.wire.Session] | Reject]]:
    return [list(answer.records) async for answer in stream.fetch(window)]


async def probed(url: str, **settings: object) -> str:
    async with http(SimulatedClock()) as asking:
        return (await probe("lobby", source(url, **settings), asking, standalone_telemetry())).text


async def asked_for(window: Window = HOUR, **settings: object) -> list[str]:
    """Paths and queries as they stood on the wire."""
    seen: list[str] = []
    async with serving(answering(EMPTY, seen=seen)) as url, sessions(url, **settings) as stream:
        await ask(stream, window)
    return seen


async def test_the_request_is_the_documents_to_the_letter() -> None:
    query = "b=2019/07/01%2011:00:00&e=2019/07/01%2012:00:00&tzo=0"

    assert [f"{RAW_PATH}?{RAW_KEY}&{query}"] == await asked_for()


async def test_the_end_asked_for_is_the_window_s_so_that_its_last_second_is_whole() -> None:
    first = datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC)

    [path] = await asked_for(Window(first, first + timedelta(seconds=1)))

    assert path.endswith("&b=2020/02/29%2023:59:59&e=2020/03/01%2000:00:00&tzo=0")


async def test_each_chosen_device_is_asked_about_once() -> None:
    query = "b=2019/07/01%2011:00:00&e=2019/07/01%2012:00:00&tzo=0"

    assert [f"{RAW_PATH}?{RAW_KEY}&{query}&device_id={device}" for device in (7, 5315)] == await asked_for(
        device_ids=[5315, 7, 5315]
    )


async def test_a_slash_at_the_end_of_the_base_url_changes_nothing() -> None:
    seen: list[str] = []
    async with serving(answering(EMPTY, seen=seen)) as url, sessions(url, base_url=f"{url}/api/") as stream:
        await ask(stream)

    assert [RAW_PATH] == [path.partition("?")[0] for path in seen]


async def test_the_rows_of_an_answer_come_out_as_records_and_rejects() -> None:
    body = b'{"objects": [' + SESSION + b"," + row(o=None) + b"]}"
    dated = answering(body, headers={"Date": "Mon, 01 Jul 2019 12:05:00 GMT"})
    async with serving(dated) as url, sessions(url) as stream, aclosing(stream.fetch(HOUR)) as answers:
        answer = await anext(answers)
        rows = list(answer.records)

    assert [Record, Reject] == [type(one) for one in rows]
    assert (2, len(body)) == (answer.rows, answer.size)
    assert datetime(2019, 7, 1, 12, 5, tzinfo=UTC) == answer.vendor_now


async def test_a_session_is_passed_on_wherever_it_lies() -> None:
    elsewhere = Window(BEGIN + timedelta(days=90), BEGIN + timedelta(days=91))
    async with serving(answering(RAW_DATA)) as url, sessions(url) as stream:
        [[got]] = await ask(stream, elsewhere)

    assert isinstance(got, Record)


async def test_every_device_has_its_own_answer() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        device = int(request.query["device_id"])
        return web.Response(body=b'{"objects": [' + row(d=device) + b"]}")

    async with serving(handler) as url, sessions(url, device_ids=[3, 1, 2]) as stream:
        answers = await ask(stream)

    assert [[1], [2], [3]] == [[one.payload.d for one in rows if isinstance(one, Record)] for rows in answers]


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
        b'{"objects": [NaN, ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"]}",
    ],
    ids=["empty", "a message", "null", "empty list", "list", "half", "nothing", "null answer", "deep"],
)
async def test_what_is_not_the_documents_answer_is_asked_for_again(body: bytes) -> None:
    async with serving(answering(body)) as url, sessions(url) as stream:
        with pytest.raises(RetryLater, match="the answer is not the document's") as raised:
            await ask(stream)

    assert_keeps_the_key(raised.value)
    assert "maintenance" not in str(raised.value)


async def test_half_of_a_packed_answer_is_asked_for_again() -> None:
    packed = gzip.compress(RAW_DATA)
    half = answering(packed[: len(packed) // 2], headers={"Content-Encoding": "gzip"})
    async with serving(half) as url, sessions(url) as stream:
        with pytest.raises(RetryLater):
            await ask(stream)


async def test_a_page_for_people_is_told_as_such_and_asked_for_again() -> None:
    page = answering(f"\n <!DOCTYPE html><p>sign in with {KEY}".encode(), headers={"Content-Type": "text/html"})
    async with serving(page) as url, sessions(url) as stream:
        with pytest.raises(RetryLater, match="HTML") as raised:
            await ask(stream)

    assert_keeps_the_key(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"), [(401, Park), (403, Park), (404, Park), (413, Split), (429, RetryLater), (500, RetryLater)]
)
async def test_what_the_vendor_refuses_is_passed_to_the_caller(status: int, kind: type[Exception]) -> None:
    async with serving(answering(status=status)) as url, sessions(url) as stream:
        with pytest.raises(kind, match=f"HTTP {status}") as raised:
            await ask(stream)

    assert_keeps_the_key(raised.value)


async def test_what_was_answered_before_a_failure_stays() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=RAW_DATA) if request.query["device_id"] == "1" else web.Response(status=500)

    async with (
        serving(handler) as url,
        sessions(url, device_ids=[1, 2]) as stream,
        aclosing(stream.fetch(HOUR)) as answers,
    ):
        answer = await anext(answers)
        [got] = answer.records
        with pytest.raises(RetryLater):
            await anext(answers)

    assert isinstance(got, Record)


async def test_answers_that_nobody_reads_and_answers_that_nobody_understands_cost_no_memory() -> None:
    bodies = [RAW_DATA, b"[]"] * 5 + [RAW_DATA] * 2

    async def handler(_: web.BaseRequest) -> web.Response:
        return web.Response(body=bodies.pop(0))

    async with serving(handler) as url, sessions(url) as stream:
        for _ in range(5):
            async with aclosing(stream.fetch(HOUR)) as answers:
                await anext(answers)
            with pytest.raises(RetryLater, match="not the document's"):
                await ask(stream)

        assert [1, 1] == [len(rows) for _ in range(2) for rows in await ask(stream)]


async def test_a_key_that_is_not_there_parks_the_source_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOBBY_KEY", raising=False)
    seen: list[str] = []
    async with serving(answering(EMPTY, seen=seen)) as url, sessions(url, user_key={"env": "LOBBY_KEY"}) as stream:
        with pytest.raises(Park, match="LOBBY_KEY") as raised:
            await ask(stream)

    assert "sources.lobby.user_key" in raised.value.advice
    assert [] == seen


async def test_a_corrected_key_counts_at_once(tmp_path: Path) -> None:
    file = tmp_path / "key"

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=EMPTY) if request.query["key"] == KEY else web.Response(status=401)

    async with serving(handler) as url, sessions(url, user_key={"file": str(file)}) as stream:
        for wrong in (None, "wrong"):
            if wrong:
                file.write_text(wrong)
            with pytest.raises(Park):
                await ask(stream)
        file.write_text(KEY + "\n")

        assert [[]] == await ask(stream)


def devices(seen: list[str] | None = None) -> Handler:
    return answering(DEVICES, seen=seen)


async def test_the_probe_counts_the_devices_of_the_account_and_tells_nothing_else() -> None:
    seen: list[str] = []
    async with serving(devices(seen)) as url:
        assert "3 devices" == await probed(url)

    assert [f"/api/user/864/devices/?{RAW_KEY}"] == seen


async def test_the_probe_knows_devices_that_are_offline_or_frozen() -> None:
    async with serving(devices()) as url:
        assert "3 devices" == await probed(url, device_ids=[2899, 3024, 3035])


async def test_devices_of_somebody_else_park_the_source_and_are_named() -> None:
    async with serving(devices()) as url:
        with pytest.raises(Park, match=r"has no device 7, 5315$") as raised:
            await probed(url, device_ids=[5315, 3024, 7])

    assert "sources.lobby.device_ids" in raised.value.advice


@pytest.mark.parametrize("body", [b"[]", b"<html>", DEVICES[:-10], b'{"online": {}}'])
async def test_a_probe_that_is_not_understood_is_made_again(body: bytes) -> None:
    async with serving(answering(body)) as url:
        with pytest.raises(RetryLater) as raised:
            await probed(url)

    assert_keeps_the_key(raised.value)


async def test_a_selection_changes_with_the_devices_and_not_with_their_order() -> None:
    async with http(SimulatedClock()) as asking:

        def selection(**settings: object) -> str:
            [stream] = streams("lobby", source("http://127.0.0.1", **settings), asking, standalone_telemetry())
            assert Account("seemetrix", "864") == stream.account
            return stream.selection

        assert selection(device_ids=[1, 2]) == selection(device_ids=[2, 1, 2])
        assert 3 == len({selection(), selection(device_ids=[1, 2]), selection(device_ids=[12])})


async def test_a_source_whose_table_of_streams_is_empty_runs_its_main_one() -> None:
    async with http(SimulatedClock()) as asking:
        found = streams("lobby", source("http://127.0.0.1", streams={}), asking, standalone_telemetry())
        assert ["sessions"] == [stream.name for stream in found]
