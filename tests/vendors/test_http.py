"""What a vendor answers, and what that means for the one who asked."""

import gzip
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from collector.errors import Park, RetryLater, Split
from collector.vendors.http import Limits, http
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import KEY, PATIENT, Handler, answering, ask, failure, serving

pytestmark = pytest.mark.anyio

MIB = 1 << 20
SMALL = Limits(max_response_bytes=1024, timeout=timedelta(seconds=60))


class Told:
    """What `asked` was told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, int]] = []

    def __call__(self, status: str, took_s: float, size: int) -> None:
        assert took_s >= 0
        self.requests.append((status, size))


async def refused(kind: type[Park], handler: Handler) -> Park:
    async with serving(handler) as url:
        return await failure(kind, url)


def bomb(size: int) -> bytes:
    press = zlib.compressobj(wbits=31)
    zeros = bytes(MIB)
    return b"".join([press.compress(zeros) for _ in range(size // MIB)]) + press.flush()


async def test_an_answer_comes_whole() -> None:
    body, told = b'{"objects":[]}' * 20_000, Told()
    async with serving(answering(body)) as url, http(SimulatedClock()) as asking:
        with await ask(asking, url, on_request=told) as response:
            assert body == response.body

    assert [("200", len(body))] == told.requests


async def test_the_vendor_gets_the_query_and_the_headers_as_they_were_meant() -> None:
    got: list[tuple[str, str, str | None, str | None]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        got.append((request.raw_path, request.query["key"], request.query.get("b"), request.headers.get("X-Token")))
        return web.Response()

    async with serving(handler) as url, http(SimulatedClock()) as asking:
        query = {"key": KEY, "b": "2019/07/01 11:16:07"}
        limiter = asking.limiter("vendor/1", PATIENT)
        await asking.get(
            f"{url}/raw/data/", query, limits=PATIENT, limiter=limiter, on_request=Told(), headers={"X-Token": "t"}
        )

    raw = "/raw/data/?key=s3cr3t%20k%26y%2B/%3D&b=2019/07/01%2011:16:07"
    assert [(raw, KEY, "2019/07/01 11:16:07", "t")] == got


async def test_the_vendors_clock_is_read() -> None:
    dated = answering(headers={"Date": "Sun, 01 Nov 2026 00:00:07 GMT"})
    async with serving(dated) as url, http(SimulatedClock()) as asking:
        response = await ask(asking, url)

    assert datetime(2026, 11, 1, 0, 0, 7, tzinfo=UTC) == response.vendor_now


@pytest.mark.parametrize(
    "date", ["yesterday", "Sun, 99 Nov 2026 00:00:07 GMT", "Sun, 01 Nov 99999999999999 00:00:07 GMT"]
)
async def test_a_clock_that_cannot_be_read_costs_nothing(date: str) -> None:
    async with serving(answering(headers={"Date": date})) as url, http(SimulatedClock()) as asking:
        response = await ask(asking, url)

    assert response.vendor_now is None


async def test_a_compressed_answer_is_decompressed() -> None:
    body, told = b'{"objects":[1,2,3]}' * 1000, Told()
    handler = answering(gzip.compress(body), headers={"Content-Encoding": "gzip"})
    async with serving(handler) as url, http(SimulatedClock()) as asking:
        response = await ask(asking, url, on_request=told)

    assert body == response.body
    assert [("200", len(body))] == told.requests


async def test_an_answer_of_just_the_largest_size_is_taken() -> None:
    async with serving(answering(bytes(1024))) as url, http(SimulatedClock()) as asking:
        response = await ask(asking, url, limits=SMALL)

    assert 1024 == len(response.body)


async def test_a_larger_answer_is_asked_for_in_halves() -> None:
    async with serving(answering(bytes(1025))) as url:
        error = await failure(Split, url, limits=SMALL)

    assert "max_response_bytes (1024)" in str(error)


async def test_an_answer_that_does_not_say_its_size_is_bounded_too() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(5):
            await response.write(bytes(256))
        return response

    async with serving(handler) as url:
        await failure(Split, url, limits=SMALL)


async def test_the_bound_counts_what_is_decompressed() -> None:
    small = gzip.compress(bytes(1025))
    assert len(small) < 1024
    async with serving(answering(small, headers={"Content-Encoding": "gzip"})) as url:
        await failure(Split, url, limits=SMALL)


async def test_a_small_answer_that_unpacks_to_a_huge_one_is_never_in_memory() -> None:
    packed = bomb(200 * MIB)
    assert len(packed) < MIB
    async with serving(answering(packed, headers={"Content-Encoding": "gzip"})) as url:
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await failure(Split, url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak - before < 50 * MIB


async def test_413_asks_for_halves() -> None:
    async with serving(answering(status=413)) as url:
        await failure(Split, url)


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "key is wrong"),
        (403, "check the user and the ids"),
        (404, "check base_url"),
        (400, "check the source's settings"),
        (405, "check the source's settings"),
        (410, "check the source's settings"),
        (204, "check the source's settings"),
    ],
)
async def test_what_only_an_operator_can_mend_parks_the_source_with_advice(status: int, advice: str) -> None:
    error = await refused(Park, answering(f"no, {KEY}".encode() if status != 204 else b"", status=status))

    assert f"HTTP {status}" == str(error)
    assert advice in error.advice


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    asked_for: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        asked_for.append(request.path)
        if request.path == "/elsewhere":
            return web.Response(body=b"{}")
        return web.Response(status=status, headers={"Location": f"/elsewhere?{request.query_string}"})

    error = await refused(Park, handler)

    assert ["/data/"] == asked_for
    assert "redirect" in str(error)
    assert "check base_url" in error.advice


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
async def test_passing_trouble_is_tried_again(status: int) -> None:
    told = Told()
    async with serving(answering(b"<html>no</html>", status=status)) as url:
        error = await failure(RetryLater, url, on_request=told)

    assert (f"HTTP {status}", 0.0, False) == (str(error), error.after_s, error.narrower)
    assert [(str(status), 0)] == told.requests


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["90", (START + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")])
async def test_the_vendor_says_when_to_come_again(status: int, wait: str) -> None:
    async with serving(answering(status=status, headers={"Retry-After": wait})) as url:
        error = await failure(RetryLater, url)

    assert 90.0 == error.after_s
    assert f"HTTP {status}, asks to wait 90 s" == str(error)


async def test_no_cookie_of_the_vendors_is_kept() -> None:
    cookies: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=1"})

    async with serving(handler) as url, http(SimulatedClock()) as asking:
        for _ in range(2):
            with await ask(asking, url):
                pass

    assert [None, None] == cookies
