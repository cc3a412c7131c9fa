"""Each hook into aiokafka does what its docstring says, against a real broker; a new version may break it."""

import asyncio
import logging
from collections.abc import AsyncIterator

import aiokafka
import anyio
import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import SaslAuthenticationFailed
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.structs import TopicPartition

from collector.cloudevents import record_of
from collector.kafka import producer as producer_module
from collector.kafka.connection import options
from collector.kafka.hooks import (
    RENEWAL_RETRY_S,
    Connection,
    Sessions,
    cancel_sender,
    is_coordinator_known,
    member_id,
    open_connection,
    send_request,
    topic_partitions,
    watch_heartbeats,
)
from collector.kafka.producer import open_producer
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, ensure_topics
from tests.kafka.daemon import until
from tests.kafka.tls_material import sasl
from tests.kafka.token_broker import SESSION_S, TokenBroker, jwt

pytestmark = pytest.mark.anyio


@pytest.fixture
async def settings(kafka: str, prefix: str) -> KafkaSettings:
    found = KafkaSettings(bootstrap_servers=kafka, topic_prefix=prefix, state_partitions=2, group=f"{prefix}group")
    await ensure_topics(found, [])
    return found


@pytest.fixture
async def consumer(settings: KafkaSettings) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    found = aiokafka.AIOKafkaConsumer(
        **options(settings), group_id=settings.group, session_timeout_ms=3000, heartbeat_interval_ms=100
    )
    await found.start()
    try:
        yield found
    finally:
        await found.stop()


async def test_heartbeats_are_confirmed_only_while_the_consumer_is_a_member(
    settings: KafkaSettings, consumer: aiokafka.AIOKafkaConsumer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # aiokafka logs the removed membership as an error
    consumer.subscribe([settings.state_topic])
    seen: list[tuple[float, bool]] = []
    watch_heartbeats(
        consumer, anyio.current_time, lambda sent_at, *, is_confirmed: seen.append((sent_at, is_confirmed))
    )

    async def confirmed() -> bool:
        await consumer.getmany(timeout_ms=10)
        return (True in {each for _, each in seen}) and is_coordinator_known(consumer)

    await until(confirmed, "a heartbeat is confirmed")
    assert all(sent_at <= anyio.current_time() for sent_at, _ in seen)
    before = member_id(consumer)
    assert before.startswith("collector-")

    consumer._coordinator.member_id = "collector-unknown"  # the coordinator has no such member
    seen.clear()

    async def removed_and_joined_again() -> bool:
        await consumer.getmany(timeout_ms=10)
        return {False, True} == {each for _, each in seen}

    await until(removed_and_joined_again, "a heartbeat is refused, and confirmed again after the consumer has rejoined")
    assert member_id(consumer) not in (before, "collector-unknown")


async def test_partitions_are_those_of_the_named_topics(
    settings: KafkaSettings, consumer: aiokafka.AIOKafkaConsumer, prefix: str
) -> None:
    missing = f"{prefix}missing"

    assert {settings.state_topic: [0, 1], missing: []} == await topic_partitions(
        consumer, [settings.state_topic, missing]
    )

    await ensure_topics(settings.model_copy(update={"partitions": 3}), [settings.topic_prefix + "missing"])
    assert {missing: [0, 1, 2]} == await topic_partitions(consumer, [missing])
    assert {settings.state_topic: [0, 1]} == await topic_partitions(consumer, [settings.state_topic])


async def test_a_partition_is_part_of_the_transaction_before_anything_is_sent_to_it(
    settings: KafkaSettings, consumer: aiokafka.AIOKafkaConsumer
) -> None:
    """The marker of the transaction proves it: nothing else is in the partition."""
    partition = TopicPartition(settings.state_topic, 1)
    async with open_producer(settings, settings.transactional_id(1)) as producer:
        for number in (1, 2):
            await producer.begin_transaction()
            await producer.transactions.register([(partition.topic, partition.partition)])
            await producer.commit_transaction()
            assert number == producer.transactions.ends_sent

            async def marked(number: int = number) -> bool:
                return bool({partition: number} == await consumer.end_offsets([partition]))

            await until(marked, f"marker {number} is written")


async def test_a_cancelled_sender_sends_nothing_more(settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer_module, "CLOSE_S", 0.2)
    async with open_producer(settings, settings.transactional_id(0)) as producer:
        await producer.begin_transaction()
        cancel_sender(producer)
        await anyio.sleep(0.1)
        batch = producer.create_batch()
        batch.add(record_of(b"key", b"value"))

        future = await producer.send_batch(batch, settings.state_topic, partition=0)

        done, _ = await asyncio.wait([future], timeout=0.5)
        assert not done


async def test_requests_go_to_one_broker(settings: KafkaSettings) -> None:
    chosen = {name: value for name, value in options(settings).items() if name != "bootstrap_servers"}
    host, port = settings.bootstrap_servers.split(":")
    connection = await open_connection(host, int(port), **chosen)
    await connection.close()
    async with admin(settings) as client:
        (node,) = [broker["node_id"] for broker in (await client.describe_cluster())["brokers"]]
        for chosen_node in (None, node):
            assert (await send_request(client, ApiVersionRequest(), chosen_node)).api_versions


@pytest.fixture
async def with_sessions(token_broker: TokenBroker) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    """A consumer of a broker that ends sessions, authenticated with a password."""
    found = aiokafka.AIOKafkaConsumer(
        **options(KafkaSettings.model_validate({"bootstrap_servers": token_broker.password_address, **sasl("PLAIN")}))
    )
    await found.start()
    try:
        await topic_partitions(found, ["missing"])  # opens a connection to the broker
        yield found
    finally:
        await found.stop()


async def test_a_connection_is_replaced_before_its_session_ends(with_sessions: aiokafka.AIOKafkaConsumer) -> None:
    connections, sessions = with_sessions._client._conns, Sessions(with_sessions)
    ((key, old),) = connections.items()
    assert isinstance(old, Connection)
    assert SESSION_S - 1 < (old.session_s or 0) <= SESSION_S
    assert (await sessions.renew(), connections) == (None, {key: old})

    old.opened_at -= 0.81 * SESSION_S
    assert await sessions.renew() is None

    new = connections[key]
    assert (new is not old, old.connected(), new.connected()) == (True, False, True)
    assert {"missing": []} == await topic_partitions(with_sessions, ["missing"])
    assert (new.left_s or 0) > SESSION_S - 2 * RENEWAL_RETRY_S


async def test_a_connection_responds_to_what_was_sent_before_it_was_replaced(
    with_sessions: aiokafka.AIOKafkaConsumer,
) -> None:
    sessions = Sessions(with_sessions)
    ((key, old),) = with_sessions._client._conns.items()
    old.opened_at -= 2 * SESSION_S
    assert sessions.has_ended()
    reopen, responses = old.reopened, []

    async def reopen_with_a_request_in_flight() -> Connection:
        new: Connection = await reopen()
        responses.append(asyncio.ensure_future(old.send(ApiVersionRequest())))
        await asyncio.sleep(0)  # noqa: TID251 - lets it be sent
        return new

    old.reopened = reopen_with_a_request_in_flight
    assert await sessions.renew() is None

    assert not sessions.has_ended()
    assert old.connected()
    assert (await responses[0]).api_versions
    await sessions.renew()
    assert not old.connected()
    assert with_sessions._client._conns[key].connected()


class _Provider(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token


@pytest.mark.parametrize("lifetime_s", [600, -5])
async def test_a_token_that_the_broker_refuses_is_an_error(token_broker: TokenBroker, lifetime_s: float) -> None:
    """In the response to an expired token, only the data is an error."""
    host, port = token_broker.token_address.split(":")
    given = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "OAUTHBEARER"}
    opening = open_connection(host, int(port), **given, sasl_oauth_token_provider=_Provider(jwt(lifetime_s)))
    if lifetime_s < 0:
        with pytest.raises(SaslAuthenticationFailed):
            await opening
        return
    connection = await opening
    assert SESSION_S - 1 < connection.session_s <= SESSION_S
    await connection.close()
