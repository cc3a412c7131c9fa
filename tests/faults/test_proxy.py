"""The proxy between real clients and a real broker: without faults it changes nothing; each fault does what it says.

The question that these tests ask is InitProducerId: each time it reaches the broker, the epoch it answers is one more.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)

from tests.faults.faults import REQUEST, RESPONSE, Blackhole, Delay, Direction, Drop, ErrorResponse, Hold, Reset
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.anyio

MAX_WAIT_S = 1.0
"""Of the clients here, with one answer."""
INIT = Api.INIT_PRODUCER_ID
_ids = count()


class Line:
    """A connection of its own, and who asks on it."""

    def __init__(self, connection: AIOKafkaConnection, transactional_id: str) -> None:
        self.connection = connection
        self.id = transactional_id

    async def asked(self) -> int:
        """How often the question reached the broker before."""
        answer = await self.connection.send(self.question)
        if answer.error_code:
            raise ConnectionError(f"error {answer.error_code}")
        return int(answer.producer_epoch)

    @property
    def question(self) -> InitProducerIdRequest:
        return InitProducerIdRequest(self.id, 10_000)


Lines = Callable[[], Awaitable[Line]]


@asynccontextmanager
async def lines(proxy: Proxy) -> AsyncIterator[Lines]:
    """New connections that ask with the same transactional id."""
    name, opened = f"asking-{next(_ids)}", []
    host, port = proxy.address.split(":")

    async def line() -> Line:
        connection = await create_conn(host, int(port), request_timeout_ms=int(MAX_WAIT_S * 1000))
        opened.append(connection)
        return Line(connection, name)

    try:
        yield line
    finally:
        for connection in opened:
            connection.close()
        await anyio.lowlevel.checkpoint()


@pytest.fixture
async def line(proxy: Proxy) -> AsyncIterator[Lines]:
    async with lines(proxy) as line:
        asking = await line()
        for question in (FindCoordinatorRequest(asking.id, 1), asking.question):  # the first one ever makes a topic
            while (await asking.connection.send(question)).error_code:  # noqa: ASYNC110 - the broker tells nobody
                await anyio.sleep(0.1)
        yield line


@pytest.mark.parametrize("direction", Direction)
async def test_what_is_delayed_comes_later(proxy: Proxy, line: Lines, direction: Direction) -> None:
    asking = await line()
    with proxy.fault(INIT, Delay(0.3, direction), times=1) as fault:
        began = monotonic()
        assert 1 == await asking.asked()
        assert monotonic() - began >= 0.3
    assert (1, 1) == (fault.applied, proxy.applied[INIT])
    assert 2 == await asking.asked()


async def test_healing_ends_a_delay(proxy: Proxy, line: Lines) -> None:
    async with anyio.create_task_group() as tasks:
        fault = proxy.add(INIT, Delay(60))
        tasks.start_soon((await line()).asked)
        await fault.wait_applied()
        proxy.heal()


@pytest.mark.parametrize(("direction", "reached"), [(REQUEST, 0), (RESPONSE, 1)])
async def test_what_is_dropped_vanishes_and_the_connection_lives(
    proxy: Proxy, line: Lines, direction: Direction, reached: int
) -> None:
    asking = await line()
    with proxy.fault(INIT, Drop(direction), times=1) as fault:
        with pytest.raises(TimeoutError):
            await asking.asked()
        assert asking.connection.connected()
    assert 1 == fault.applied
    assert 1 + reached == await (await line()).asked()


@pytest.mark.parametrize(("direction", "reached"), [(REQUEST, 0), (RESPONSE, 1)])
async def test_a_reset_ends_its_connection_and_no_other(
    proxy: Proxy, line: Lines, direction: Direction, reached: int
) -> None:
    asking, other = await line(), await line()
    with proxy.fault(INIT, Reset(direction), times=1), pytest.raises(KafkaConnectionError) as error:
        await asking.asked()
    assert isinstance(error.value.__cause__, ConnectionResetError)
    assert 1 + reached == await other.asked()


async def test_in_a_blackhole_nothing_passes_on_any_connection_until_it_is_healed(proxy: Proxy, line: Lines) -> None:
    asking, other = await line(), await line()
    with proxy.fault(INIT, Blackhole()) as fault:
        with pytest.raises(TimeoutError):
            await asking.asked()
        with pytest.raises(TimeoutError):
            await other.connection.send(FindCoordinatorRequest("group", 0))
        with pytest.raises(TimeoutError):
            await line()
    assert 1 == fault.applied
    again = await line()
    with proxy.blackhole(), pytest.raises(TimeoutError):
        await again.asked()
    assert 1 == await (await line()).asked()


async def test_refused_connections_are_refused_and_the_others_live_on(proxy: Proxy, line: Lines) -> None:
    asking = await line()
    async with proxy.refusing():
        with pytest.raises(ConnectionRefusedError):
            await line()
        assert 1 == await asking.asked()
    assert 2 == await (await line()).asked()


ASKED = {
    Api.PRODUCE: ProduceRequest("id", -1, 1000, [("some", [(0, b""), (1, b"")]), ("other", [(2, b"")])]),
    Api.FIND_COORDINATOR: FindCoordinatorRequest("id", 1),
    Api.HEARTBEAT: HeartbeatRequest("group", 1, "member"),
    Api.SYNC_GROUP: SyncGroupRequest("group", 1, "member", None, []),
    INIT: InitProducerIdRequest("id", 10_000),
    Api.ADD_PARTITIONS_TO_TXN: AddPartitionsToTxnRequest("id", 1, 1, [("some", [0, 1]), ("other", [2])]),
    Api.ADD_OFFSETS: AddOffsetsToTxnRequest("id", 1, 1, "group"),
    Api.END_TXN: EndTxnRequest("id", 1, 1, transaction_result=True),
}


@pytest.mark.parametrize("api", ASKED, ids=lambda api: api.name)
async def test_an_error_can_be_answered_to_each_kind_of_request(proxy: Proxy, line: Lines, api: Api) -> None:
    asking = await line()
    with proxy.fault(api, ErrorResponse(48), times=1):
        answer = await asking.connection.send(ASKED[api])
    assert _errors(api, answer) == {48}
    assert 1 == await asking.asked()  # on the same connection, which is still in step


def _errors(api: Api, answer: Any) -> set[int]:  # noqa: ANN401 - aiokafka has no types
    match api:
        case Api.PRODUCE:
            assert ["some", "other"] == [topic for topic, _ in answer.topics]
            return {place[1] for _, places in answer.topics for place in places}
        case Api.ADD_PARTITIONS_TO_TXN:
            assert [("some", [0, 1]), ("other", [2])] == [(t, [number for number, _ in p]) for t, p in answer.errors]
            return {code for _, places in answer.errors for _, code in places}
        case _:
            return {answer.error_code}


@pytest.mark.parametrize(("direction", "reached"), [(REQUEST, 0), (RESPONSE, 1)])
async def test_an_error_stands_for_the_request_or_for_the_answer(
    proxy: Proxy, line: Lines, direction: Direction, reached: int
) -> None:
    asking = await line()
    with proxy.fault(INIT, ErrorResponse(51, direction), times=1), pytest.raises(ConnectionError, match="51"):
        await asking.asked()
    assert 1 + reached == await asking.asked()


async def test_what_the_proxy_cannot_answer_is_told_at_once(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match="no answers of its own"):
        proxy.add(Api.FETCH, ErrorResponse(6))


async def test_answers_keep_their_order_also_those_of_the_proxy(proxy: Proxy, line: Lines) -> None:
    asking = await line()
    codes = []

    async def hear(answer: Awaitable[Any]) -> None:
        codes.append((await answer).error_code)

    with proxy.fault(INIT, Delay(0.2, RESPONSE), times=1), proxy.fault(Api.END_TXN, ErrorResponse(48), times=1):
        async with anyio.create_task_group() as tasks:
            for api in (INIT, Api.END_TXN, Api.FIND_COORDINATOR):
                tasks.start_soon(hear, asking.connection.send(ASKED[api]))
    assert [0, 48, 0] == codes


@pytest.mark.parametrize("cut", [False, True])
async def test_what_is_held_arrives_when_it_is_released_though_its_sender_hung_up(
    proxy: Proxy, line: Lines, *, cut: bool
) -> None:
    asking = await line()
    with proxy.fault(INIT, Hold(cut=cut), times=1) as late:
        with pytest.raises(KafkaConnectionError if cut else TimeoutError):
            await asking.asked()
        asking.connection.close()
    assert 1 == await (await line()).asked()
    assert [0] == await late.release()
    assert 3 == await (await line()).asked()
    assert [] == await late.release()


async def test_a_fault_takes_the_next_frames_after_some_of_one_name_alone(proxy: Proxy, line: Lines) -> None:
    asking = await line()
    async with lines(proxy) as others:
        other = await others()
        with proxy.fault(INIT, ErrorResponse(51), times=2, skip=1, for_id=asking.id) as fault:
            row = (asking, asking, other, asking, asking)
            advance = [await each.connection.send(each.question) for each in row]
    assert [0, 51, 0, 51, 0] == [answer.error_code for answer in advance]
    assert (2, 2) == (fault.applied, proxy.applied[INIT])
