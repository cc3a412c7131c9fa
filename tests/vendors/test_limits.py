"""Requests respect the limits of an account, and two large responses at max_running are in memory."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

import anyio
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Park, RetryLater, Split
from collector.vendors import http as http_module
from collector.vendors.http import MAX_LARGE_RESPONSES, Http, Limiter, http
from collector.vendors.limits import Limits
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import (
    LONG_TIMEOUT,
    SHORT_TIMEOUT,
    get,
    responding,
    sends,
    sends_then_stalls,
    serving,
    tcp_server,
    wait_until,
    yield_to_others,
)

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n"
LIMITS = Limits(max_concurrency=10, timeout=SHORT_TIMEOUT.timeout, max_response_bytes=1024)


@asynccontextmanager
async def all_memory_is_free(client: Http) -> AsyncIterator[None]:
    """At the end, all shares of memory must be free."""
    yield
    async with serving(responding(b"whole")) as url, AsyncExitStack() as held:
        for _ in range(MAX_LARGE_RESPONSES):
            response = await get(client, url, limits=LIMITS)
            held.callback(response.release)
            assert b"whole" == response.body


@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_concurrent_requests_are_limited(limit: int) -> None:
    limiter = Limiter(Limits(max_concurrency=limit), SimulatedClock())
    running, max_running, release = 0, 0, anyio.Event()

    async def one() -> None:
        nonlocal running, max_running
        async with limiter.slot():
            running += 1
            max_running = max(max_running, running)
            await release.wait()
            running -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(7):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        assert limit == running
        release.set()

    assert limit == max_running


async def test_a_slot_is_held_until_the_body_is_read() -> None:
    running, max_running = 0, 0

    async def handler(_: web.BaseRequest) -> web.Response:
        nonlocal running, max_running
        running += 1
        max_running = max(max_running, running)
        await yield_to_others()
        running -= 1
        return web.Response()

    async def one() -> None:
        with await get(client, url):
            pass

    async with serving(handler) as url, http(SimulatedClock()) as client, anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(one)

    assert 1 == max_running


async def test_a_failed_request_frees_its_slot() -> None:
    limiter = Limiter(Limits(), SimulatedClock())
    for _ in range(3):
        with pytest.raises(RetryLater):
            async with limiter.slot():
                raise RetryLater("no")

    with anyio.fail_after(1):
        async with limiter.slot():
            pass


@pytest.fixture(autouse=True)
def every_body_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every body takes a share of memory from its first byte."""
    monkeypatch.setattr(http_module, "MAX_SMALL_BYTES", 0)


@given(st.integers(1, 5), st.lists(st.integers(0, 90), min_size=1, max_size=30))
async def test_requests_a_minute_are_limited_without_extra_waits(per_minute: int, gaps_s: list[int]) -> None:
    clock = SimulatedClock()
    limiter = Limiter(Limits(max_requests_per_minute=per_minute), clock)
    expected: list[datetime] = []
    got: list[datetime] = []
    for gap_s in gaps_s:
        clock.pass_s(gap_s)
        free = expected[-per_minute] + timedelta(minutes=1) if len(expected) >= per_minute else START
        expected.append(max(clock.now(), free))
        async with limiter.slot():
            got.append(clock.now())

    assert expected == got


async def test_concurrent_requests_share_the_limit_of_a_minute() -> None:
    clock = SimulatedClock()
    limiter = Limiter(Limits(max_concurrency=10, max_requests_per_minute=3), clock)
    starts: list[float] = []

    async def one() -> None:
        async with limiter.slot():
            starts.append((clock.now() - START).total_seconds())

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one)

    assert [0.0, 0.0, 0.0, 60.0, 60.0, 60.0, 120.0, 120.0] == starts


async def test_each_account_has_one_limiter() -> None:
    async with http(SimulatedClock()) as client:
        one = client.limiter("vendor/1", LONG_TIMEOUT)

        assert one is client.limiter("vendor/1", LONG_TIMEOUT)
        assert one is not client.limiter("vendor/2", LONG_TIMEOUT)


async def test_a_large_response_waits_for_its_share_of_memory() -> None:
    limits = Limits(max_concurrency=10)
    done: list[bytes] = []
    async with serving(responding(b"whole")) as url, http(SimulatedClock()) as client:
        held = [await get(client, url, limits=limits) for _ in range(MAX_LARGE_RESPONSES)]

        async def one_more() -> None:
            with await get(client, url, limits=limits) as response:
                done.append(response.body)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one_more)
            await wait_until(lambda: client._large_responses.statistics().tasks_waiting == 1)
            assert [] == done
            held[0].release()

        assert [b"whole"] == done


async def test_a_released_response_frees_its_share_of_memory() -> None:
    async with serving(responding(b"whole")) as url, http(SimulatedClock()) as client, all_memory_is_free(client):
        for _ in range(5):
            with await get(client, url, limits=LIMITS) as response:
                assert b"whole" == response.body


async def test_a_small_response_needs_no_share_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(max_concurrency=10)
    async with serving(responding(b"whole")) as url, http(SimulatedClock()) as client:
        held = [await get(client, url, limits=limits) for _ in range(MAX_LARGE_RESPONSES)]
        monkeypatch.setattr(http_module, "MAX_SMALL_BYTES", len(b"whole"))
        assert b"whole" == (await get(client, url, limits=limits)).body
        assert 0 == client._large_responses.value
        for response in held:
            response.release()


async def test_a_share_of_memory_is_released_only_once() -> None:
    async with serving(responding(b"whole")) as url, http(SimulatedClock()) as client:
        with await get(client, url, limits=LIMITS) as response:
            response.release()

        assert MAX_LARGE_RESPONSES == client._large_responses.value


async def test_a_failed_response_frees_its_share_of_memory() -> None:
    silent = sends_then_stalls(HEAD + b"Content-Length: 100\r\n\r\n{")
    async with (
        serving(responding(status=500)) as broken,
        serving(responding(status=401)) as closed,
        serving(responding(bytes(2000))) as large,
        tcp_server(sends(HEAD + b"Content-Length: 100\r\n\r\n{")) as half,
        tcp_server(silent) as slow,
        http(SimulatedClock()) as client,
        all_memory_is_free(client),
    ):
        for kind, url in ((RetryLater, broken), (Park, closed), (Split, large), (RetryLater, half)):
            for _ in range(3):
                with pytest.raises(kind):
                    await get(client, url, limits=LIMITS)
        with pytest.raises(RetryLater):
            await get(client, slow, limits=LIMITS)


async def test_a_cancelled_request_frees_its_share_of_memory() -> None:
    silent = sends_then_stalls(HEAD + b"Content-Length: 100\r\n\r\n{")
    async with (
        tcp_server(silent) as url,
        http(SimulatedClock()) as client,
        all_memory_is_free(client),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(get, client, url)
        await wait_until(lambda: MAX_LARGE_RESPONSES - 1 == client._large_responses.value)
        tasks.cancel_scope.cancel()
