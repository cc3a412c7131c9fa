"""Responses of a vendor, and the errors that the caller receives for them."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web

from collector.errors import Park, RetryLater, Split
from collector.vendors.http import http
from collector.vendors.limits import Limits
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import KEY, LONG_TIMEOUT, Handler, failure, get, responding, serving

pytestmark = pytest.mark.anyio

SMALL = Limits(max_response_bytes=1024, timeout=timedelta(seconds=60))


class Requests:
    """Collects what `on_request` is called with."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def __call__(self, status: str, took_s: float, size: int) -> None:
        assert took_s >= 0
        self.seen.append((status, size))


async def parked(handler: Handler) -> Park:
    async with serving(handler) as url:
        return await failure(Park, url)


async def test_get_returns_the_complete_body() -> None:
    body, requests = b'{"objects":[]}' * 20_000, Requests()
    async with serving(responding(body)) as url, http(SimulatedClock()) as client:
        with await get(client, url, on_request=requests) as response:
            assert body == response.body

    assert [("200", len(body))] == requests.seen


async def test_the_vendor_receives_query_and_headers_unchanged() -> None:
    got: list[tuple[str, str, str | None, str | None]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        got.append((request.raw_path, request.query["key"], request.query.get("b"), request.headers.get("X-Token")))
        return web.Response()

    async with serving(handler) as url, http(SimulatedClock()) as client:
        query = {"key": KEY, "b": "2019/07/01 11:16:07"}
        limiter = client.limiter("vendor/1", LONG_TIMEOUT)
        await client.get(
            f"{url}/raw/data/",
            query,
            limits=LONG_TIMEOUT,
            limiter=limiter,
            on_request=Requests(),
            headers={"X-Token": "t"},
        )

    raw = "/raw/data/?key=s3cr3t%20k%26y%2B/%3D&b=2019/07/01%2011:16:07"
    assert [(raw, KEY, "2019/07/01 11:16:07", "t")] == got


async def test_the_date_header_is_parsed() -> None:
    dated = responding(headers={"Date": "Sun, 01 Nov 2026 00:00:07 GMT"})
    async with serving(dated) as url, http(SimulatedClock()) as client:
        response = await get(client, url)

    assert datetime(2026, 11, 1, 0, 0, 7, tzinfo=UTC) == response.vendor_now


@pytest.mark.parametrize(
    "date", ["yesterday", "Sun, 99 Nov 2026 00:00:07 GMT", "Sun, 01 Nov 99999999999999 00:00:07 GMT"]
)
async def test_an_invalid_date_header_is_ignored(date: str) -> None:
    async with serving(responding(headers={"Date": date})) as url, http(SimulatedClock()) as client:
        response = await get(client, url)

    assert response.vendor_now is None


@pytest.mark.parametrize("date", ["Thu, 01 Jan 1970 00:00:00 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"])
async def test_a_date_that_cannot_be_right_is_reported_and_not_used(date: str) -> None:
    changes: list[tuple[str, str | None]] = []
    dated = responding(headers={"Date": date})
    async with (
        serving(dated) as url,
        http(
            SimulatedClock(), lambda host, notice: changes.append((host, None if notice is None else notice.code))
        ) as client,
    ):
        responses = [await get(client, url) for _ in range(3)]

    assert [None] * 3 == [each.vendor_now for each in responses]
    assert [(url.removeprefix("http://"), "vendor_clock_wrong")] == changes
    assert all(each.date is not None for each in responses)


async def test_the_date_of_an_error_is_not_judged() -> None:
    """A proxy or a gateway sends it, and not the vendor."""
    changes: list[str] = []
    dated = responding(status=503, headers={"Date": "Thu, 01 Jan 1970 00:00:00 GMT"})
    async with serving(dated) as url, http(SimulatedClock(), lambda host, _: changes.append(host)) as client:
        with pytest.raises(RetryLater):
            await get(client, url)

    assert [] == changes


@pytest.mark.parametrize(
    ("date", "age", "vendor_now"),
    [
        ("Sat, 31 Oct 2026 23:00:00 GMT", "3600", START - timedelta(hours=1)),
        ("Sat, 31 Oct 2026 23:00:00 GMT", "yesterday", START - timedelta(hours=1)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", "3600", START - timedelta(hours=1)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "3600", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
    ids=["cached for an hour", "without an age", "cached, and the vendor's clock is wrong", "end of the calendar"],
)
async def test_a_response_of_a_cache_is_as_old_as_its_date(date: str, age: str, vendor_now: datetime) -> None:
    changes: list[str] = []
    cached = responding(headers={"Date": date, "Age": age})
    async with serving(cached) as url, http(SimulatedClock(), lambda host, _: changes.append(host)) as client:
        response = await get(client, url)

    assert vendor_now == response.vendor_now
    assert bool(changes) == (not (age == "3600" and date.startswith("Sat")))


async def test_a_compressed_body_is_decompressed() -> None:
    body, requests = b'{"objects":[1,2,3]}' * 1000, Requests()
    handler = responding(gzip.compress(body), headers={"Content-Encoding": "gzip"})
    async with serving(handler) as url, http(SimulatedClock()) as client:
        response = await get(client, url, on_request=requests)

    assert body == response.body
    assert [("200", len(body))] == requests.seen


async def test_a_body_of_exactly_the_largest_size_is_accepted() -> None:
    async with serving(responding(bytes(1024))) as url, http(SimulatedClock()) as client:
        response = await get(client, url, limits=SMALL)

    assert 1024 == len(response.body)


async def test_a_larger_body_raises_split() -> None:
    async with serving(responding(bytes(1025))) as url:
        error = await failure(Split, url, limits=SMALL)

    assert "response_too_large" == error.code
    assert "max_response_bytes (1024)" in str(error)


async def test_a_chunked_body_is_bounded_too() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        for _ in range(5):
            await response.write(bytes(256))
        return response

    async with serving(handler) as url:
        await failure(Split, url, limits=SMALL)


async def test_status_413_raises_split() -> None:
    async with serving(responding(status=413)) as url:
        await failure(Split, url)


@pytest.mark.parametrize(
    ("status", "key"),
    [
        (401, "key"),
        (403, "ids"),
        (404, "base_url"),
        (400, "settings"),
        (405, "settings"),
        (410, "settings"),
    ],
)
async def test_a_permanent_status_raises_park_with_advice(status: int, key: str) -> None:
    error = await parked(responding(f"no, {KEY}".encode(), status=status))

    assert (f"http_{status}", f"HTTP {status}") == (error.code, str(error))
    assert key in error.advice


@pytest.mark.parametrize(("status", "body"), [(200, b"{}"), (202, b"{}"), (203, b"{}"), (204, b"")])
async def test_a_status_of_success_is_passed_to_the_caller(status: int, body: bytes) -> None:
    async with serving(responding(body, status=status)) as url, http(SimulatedClock()) as client:
        response = await get(client, url)

    assert (status, body) == (response.status, response.body)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(status: int) -> None:
    paths: list[str] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        paths.append(request.path)
        if request.path == "/elsewhere":
            return web.Response(body=b"{}")
        return web.Response(status=status, headers={"Location": f"/elsewhere?{request.query_string}"})

    error = await parked(handler)

    assert ["/data/"] == paths
    assert f"http_{status}" == error.code
    assert "base_url" in error.advice


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520])
async def test_a_transient_status_raises_retry_later(status: int) -> None:
    requests = Requests()
    async with serving(responding(b"<html>no</html>", status=status)) as url:
        error = await failure(RetryLater, url, on_request=requests)

    assert (f"http_{status}", 0.0, False) == (error.code, error.after_s, error.narrower)
    assert [(str(status), 0)] == requests.seen


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("wait", ["90", (START + timedelta(seconds=90)).strftime("%a, %d %b %Y %H:%M:%S GMT")])
async def test_retry_after_is_passed_on(status: int, wait: str) -> None:
    async with serving(responding(status=status, headers={"Retry-After": wait})) as url:
        error = await failure(RetryLater, url)

    assert 90.0 == error.after_s
    assert f"http_{status}" == error.code
    assert "90 s" in str(error)


async def test_cookies_are_not_stored() -> None:
    cookies: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        cookies.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "session=1"})

    async with serving(handler) as url, http(SimulatedClock()) as client:
        for _ in range(2):
            with await get(client, url):
                pass

    assert [None, None] == cookies


@pytest.mark.parametrize("header", ["3601", "1795622400", "7200000", "Fri, 01 Jan 2100 00:00:00 GMT"])
async def test_a_retry_after_beyond_an_hour_is_shortened_and_reported(header: str) -> None:
    async with serving(responding(status=429, headers={"Retry-After": header})) as url:
        error = await failure(RetryLater, url)

    assert 3600.0 == error.after_s
    assert header[:10] in str(error) or "GMT" in header
    assert "3600 s" in str(error)
