"""The proxy between a real client and a real broker: each fault does what it documents, and nothing else.

The tests send InitProducerId, because the producer epoch in its responses is the number of requests that reached the
broker before.
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
"""The clients' request timeout."""
INIT = Api.INIT_PRODUCER_ID
_ids = count()


class Client:
    """A connection on which InitProducerId is sent."""

    def __init__(self, connection: AIOKafkaConnection, transactional_id: str) -> None:
        self.connection = connection
        self.id = transactional_id

    async def send(self) -> int:
        """Send the request, and return how many such requests had reached the broker before.

        Raises ConnectionError with the error code of the response, if it has one.
        """
        response = await self.connection.send(self.request)
        if response.error_code:
            raise ConnectionError(f"error {response.error_code}")
        return int(response.producer_epoch)

    @property
    def request(self) -> InitProducerIdRequest:
        return InitProducerIdRequest(self.id, 10_000)


Connect = Callable[[], Awaitable[Client]]


@asynccontextmanager
async def clients(proxy: Proxy) -> AsyncIterator[Connect]:
    """Opens connections that use the same transactional id."""
    name, opened = f"client-{next(_ids)}", []
    host, port = proxy.address.split(":")

    async def connect() -> Client:
        connection = await create_conn(host, int(port), request_timeout_ms=int(MAX_WAIT_S * 1000))
        opened.append(connection)
        return Client(connection, name)

    try:
        yield connect
    finally:
        for connection in opened:
            connection.close()
        await anyio.lowlevel.checkpoint()


@pytest.fixture
async def connect(proxy: Proxy) -> AsyncIterator[Connect]:
    async with clients(proxy) as connect:
        client = await connect()
        for request in (FindCoordinatorRequest(client.id, 1), client.request):  # the first of all creates a topic
            while (await client.connection.send(request)).error_code:  # noqa: ASYNC110 - the broker does not notify
                await anyio.sleep(0.1)
        yield connect


@pytest.mark.parametrize("direction", Direction)
async def test_a_delayed_frame_arrives_later(proxy: Proxy, connect: Connect, direction: Direction) -> None:
    client = await connect()
    with proxy.fault(INIT, Delay(0.3, direction), times=1) as fault:
        start_s = monotonic()
        assert 1 == await client.send()
        assert monotonic() - start_s >= 0.3
    assert (1, 1) == (fault.applied, proxy.applied[INIT])
    assert 2 == await client.send()


async def test_healing_ends_a_delay(proxy: Proxy, connect: Connect) -> None:
    async with anyio.create_task_group() as tasks:
        fault = proxy.add(INIT, Delay(60))
        tasks.start_soon((await connect()).send)
        await fault.wait_applied()
        proxy.heal()


@pytest.mark.parametrize(("direction", "reached"), [(REQUEST, 0), (RESPONSE, 1)])
async def test_a_dropped_frame_is_lost_and_the_connection_stays_open(
    proxy: Proxy, connect: Connect, direction: Direction, reached: int
) -> None:
    client = await connect()
    with proxy.fault(INIT, Drop(direction), times=1) as fault:
        with pytest.raises(TimeoutError):
            await client.send()
        assert client.connection.connected()
    assert 1 == fault.applied
    assert 1 + reached == await (await connect()).send()


@pytest.mark.parametrize(("direction", "reached"), [(REQUEST, 0), (RESPONSE, 1)])
async def test_a_reset_closes_its_connection_and_no_other(
    proxy: Proxy, connect: Connect, direction: Direction, reached: int
) -> None:
    client, other = await connect(), await connect()
    with proxy.fault(INIT, Reset(direction), times=1), pytest.raises(KafkaConnectionError) as error:
        await client.send()
    assert isinstance(error.value.__cause__, ConnectionResetError)
    assert 1 + reached == await other.send()


async def test_a_blackhole_drops_the_frames_of_all_connections_until_it_is_healed(
    proxy: Proxy, connect: Connect
) -> None:
    client, other = await connect(), await connect()
    with proxy.fault(INIT, Blackhole()) as fault:
        with pytest.raises(TimeoutError):
            await client.send()
        with pytest.raises(TimeoutError):
            await other.connection.send(FindCoordinatorRequest("group", 0))
        with pytest.raises(TimeoutError):
            await connect()
    assert 1 == fault.applied
    again = await connect()
    with proxy.blackhole(), pytest.raises(TimeoutError):
        await again.send()
    assert 1 == await (await connect()).send()


async def test_new_connections_can_be_refused_while_existing_ones_stay_open(proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    async with proxy.refusing():
        with pytest.raises(ConnectionRefusedError):
            await connect()
        assert 1 == await client.send()
    assert 2 == await (await connect()).send()


REQUESTS = {
    Api.PRODUCE: ProduceRequest("id", -1, 1000, [("some", [(0, b""), (1, b"")]), ("other", [(2, b"")])]),
    Api.FIND_COORDINATOR: FindCoordinatorRequest("id", 1),
    Api.HEARTBEAT: HeartbeatRequest("group", 1, "member"),
    Api.SYNC_GROUP: SyncGroupRequest("group", 1, "member", None, []),
    INIT: InitProducerIdRequest("id", 10_000),
    Api.ADD_PARTITIONS_TO_TXN: AddPartitionsToTxnRequest("id", 1, 1, [("some", [0, 1]), ("other", [2])]),
    Api.ADD_OFFSETS: AddOffsetsToTxnRequest("id", 1, 1, "group"),
    Api.END_TXN: EndTxnRequest("id", 1, 1, transaction_result=True),
}


@pytest.mark.parametrize("api", REQUESTS, ids=lambda api: api.name)
async def test_each_kind_of_request_can_receive_an_error_response(proxy: Proxy, connect: Connect, api: Api) -> None:
    client = await connect()
    with proxy.fault(api, ErrorResponse(48), times=1):
        response = await client.connection.send(REQUESTS[api])
    assert _errors(api, response) == {48}
    assert 1 == await client.send()  # on the same connection, whose correlation ids still match


def _errors(api: Api, response: Any) -> set[int]:  # noqa: ANN401 - aiokafka has no types
    match api:
        case Api.PRODUCE:
            assert ["some", "other"] == [topic for topic, _ in response.topics]
            return {partition[1] for _, partitions in response.topics for partition in partitions}
        case Api.ADD_PARTITIONS_TO_TXN:
            assert [("some", [0, 1]), ("other", [2])] == [(t, [number for number, _ in p]) for t, p in response.errors]
            return {code for _, partitions in response.errors for _, code in partitions}
        case _:
            return {response.error_code}


@pytest.mark.parametrize(("direction", "reached"), [(REQUEST, 0), (RESPONSE, 1)])
async def test_an_error_response_replaces_the_request_or_the_response(
    proxy: Proxy, connect: Connect, direction: Direction, reached: int
) -> None:
    client = await connect()
    with proxy.fault(INIT, ErrorResponse(51, direction), times=1), pytest.raises(ConnectionError, match="51"):
        await client.send()
    assert 1 + reached == await client.send()


async def test_an_error_response_for_an_unsupported_api_is_rejected(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match=r"\b1\b"):
        proxy.add(Api.FETCH, ErrorResponse(6))


async def test_responses_keep_their_order_also_those_of_the_proxy(proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    codes = []

    async def record(response: Awaitable[Any]) -> None:
        codes.append((await response).error_code)

    with proxy.fault(INIT, Delay(0.2, RESPONSE), times=1), proxy.fault(Api.END_TXN, ErrorResponse(48), times=1):
        async with anyio.create_task_group() as tasks:
            for api in (INIT, Api.END_TXN, Api.FIND_COORDINATOR):
                tasks.start_soon(record, client.connection.send(REQUESTS[api]))
    assert [0, 48, 0] == codes


@pytest.mark.parametrize("cut", [False, True])
async def test_a_held_request_is_delivered_on_release_although_its_client_has_closed_the_connection(
    proxy: Proxy, connect: Connect, *, cut: bool
) -> None:
    client = await connect()
    with proxy.fault(INIT, Hold(cut=cut), times=1) as late:
        with pytest.raises(KafkaConnectionError if cut else TimeoutError):
            await client.send()
        client.connection.close()
    assert 1 == await (await connect()).send()
    assert [0] == await late.release()
    assert 3 == await (await connect()).send()
    assert [] == await late.release()


async def test_a_fault_applies_to_frames_of_one_id_after_the_skipped_ones(proxy: Proxy, connect: Connect) -> None:
    client = await connect()
    async with clients(proxy) as others:
        other = await others()
        with proxy.fault(INIT, ErrorResponse(51), times=2, skip=1, for_id=client.id) as fault:
            senders = (client, client, other, client, client)
            responses = [await each.connection.send(each.request) for each in senders]
    assert [0, 51, 0, 51, 0] == [response.error_code for response in responses]
    assert (2, 2) == (fault.applied, proxy.applied[INIT])
