"""An account is not asked more than it allows, and the process holds two answers at most."""

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
from collector.vendors.http import MAX_LARGE_RESPONSES, Http, Limiter, Limits, http
from tests.simulated import START, SimulatedClock
from tests.vendors.loopback import (
    HASTY,
    PATIENT,
    answering,
    ask,
    falling_silent,
    let_the_others_run,
    saying,
    serving,
    speaking,
    until,
)

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\n"
LIMITS = Limits(max_concurrency=10, timeout=HASTY.timeout, max_response_bytes=1024)


@asynccontextmanager
async def answering_at_all(asking: Http) -> AsyncIterator[None]:
    """In the end both shares of memory are free: so many answers are held at once."""
    yield
    async with serving(answering(b"whole")) as url, AsyncExitStack() as held:
        for _ in range(MAX_LARGE_RESPONSES):
            response = await ask(asking, url, limits=LIMITS)
            held.callback(response.release)
            assert b"whole" == response.body


@pytest.mark.parametrize("at_once", [1, 2, 5])
async def test_no_more_requests_than_allowed_run_at_once(at_once: int) -> None:
    limiter = Limiter(Limits(max_concurrency=at_once), SimulatedClock())
    running, most, go_on = 0, 0, anyio.Event()

    async def one() -> None:
        nonlocal running, most
        async with limiter.slot():
            running += 1
            most = max(most, running)
            await go_on.wait()
            running -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(7):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        assert at_once == running
        go_on.set()

    assert at_once == most


async def test_a_turn_lasts_until_the_answer_is_read() -> None:
    running, most = 0, 0

    async def handler(_: web.BaseRequest) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await let_the_others_run()
        running -= 1
        return web.Response()

    async def one() -> None:
        with await ask(asking, url):
            pass

    async with serving(handler) as url, http(SimulatedClock()) as asking, anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(one)

    assert 1 == most


async def test_a_failed_request_gives_its_turn_back() -> None:
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
    """So that each takes a share of memory, from its first byte on."""
    monkeypatch.setattr(http_module, "MAX_SMALL_BYTES", 0)


@given(st.integers(1, 5), st.lists(st.integers(0, 90), min_size=1, max_size=30))
async def test_a_minute_sees_no_more_requests_than_allowed_and_nobody_waits_longer(
    per_minute: int, gaps_s: list[int]
) -> None:
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


async def test_those_who_ask_at_once_share_the_minute() -> None:
    clock = SimulatedClock()
    limiter = Limiter(Limits(max_concurrency=10, max_requests_per_minute=3), clock)
    began: list[float] = []

    async def one() -> None:
        async with limiter.slot():
            began.append((clock.now() - START).total_seconds())

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(one)

    assert [0.0, 0.0, 0.0, 60.0, 60.0, 60.0, 120.0, 120.0] == began


async def test_an_account_has_one_limiter_and_each_its_own() -> None:
    async with http(SimulatedClock()) as asking:
        one = asking.limiter("vendor/1", PATIENT)

        assert one is asking.limiter("vendor/1", PATIENT)
        assert one is not asking.limiter("vendor/2", PATIENT)


async def test_an_answer_waits_until_there_is_memory_for_it() -> None:
    limits = Limits(max_concurrency=10)
    done: list[bytes] = []
    async with serving(answering(b"whole")) as url, http(SimulatedClock()) as asking:
        held = [await ask(asking, url, limits=limits) for _ in range(MAX_LARGE_RESPONSES)]

        async def one_more() -> None:
            with await ask(asking, url, limits=limits) as response:
                done.append(response.body)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one_more)
            await until(lambda: asking._large_responses.statistics().tasks_waiting == 1)
            assert [] == done
            held[0].release()

        assert [b"whole"] == done


async def test_an_answer_that_is_done_with_gives_its_memory_back() -> None:
    async with serving(answering(b"whole")) as url, http(SimulatedClock()) as asking, answering_at_all(asking):
        for _ in range(5):
            with await ask(asking, url, limits=LIMITS) as response:
                assert b"whole" == response.body


async def test_a_small_answer_waits_for_nobody_s_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(max_concurrency=10)
    async with serving(answering(b"whole")) as url, http(SimulatedClock()) as asking:
        held = [await ask(asking, url, limits=limits) for _ in range(MAX_LARGE_RESPONSES)]
        monkeypatch.setattr(http_module, "MAX_SMALL_BYTES", len(b"whole"))
        assert b"whole" == (await ask(asking, url, limits=limits)).body
        assert 0 == asking._large_responses.value
        for response in held:
            response.release()


async def test_memory_is_given_back_once_however_often_it_is_said() -> None:
    async with serving(answering(b"whole")) as url, http(SimulatedClock()) as asking:
        with await ask(asking, url, limits=LIMITS) as response:
            response.release()

        assert MAX_LARGE_RESPONSES == asking._large_responses.value


async def test_an_answer_that_fails_gives_its_memory_back() -> None:
    silent = falling_silent(HEAD + b"Content-Length: 100\r\n\r\n{")
    async with (
        serving(answering(status=500)) as broken,
        serving(answering(status=401)) as closed,
        serving(answering(bytes(2000))) as large,
        speaking(saying(HEAD + b"Content-Length: 100\r\n\r\n{")) as half,
        speaking(silent) as slow,
        http(SimulatedClock()) as asking,
        answering_at_all(asking),
    ):
        for kind, url in ((RetryLater, broken), (Park, closed), (Split, large), (RetryLater, half)):
            for _ in range(3):
                with pytest.raises(kind):
                    await ask(asking, url, limits=LIMITS)
        with pytest.raises(RetryLater):
            await ask(asking, slow, limits=LIMITS)


async def test_a_request_that_is_given_up_gives_everything_back() -> None:
    silent = falling_silent(HEAD + b"Content-Length: 100\r\n\r\n{")
    async with (
        speaking(silent) as url,
        http(SimulatedClock()) as asking,
        answering_at_all(asking),
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ask, asking, url)
        await until(lambda: MAX_LARGE_RESPONSES - 1 == asking._large_responses.value)
        tasks.cancel_scope.cancel()
