"""Every use of a private or undocumented name of aiokafka, one function or class for each.

A new minor version of aiokafka may change any of them, so pyproject.toml bounds it. A contract test for each hook
(tests/test_hooks.py, tests/kafka/test_hooks.py) fails when a version does; no other module uses a private name.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.codec import lz4_encode
from aiokafka.conn import create_conn
from aiokafka.structs import TopicPartition


def set_lz4_level(level: int) -> None:
    """Set the level at which every producer of this process compresses with LZ4.

    Replaces the default argument of `aiokafka.codec.lz4_encode`, which record batches call without a level. If that
    changes, batches are compressed at aiokafka's own level: correct, but slower.
    """
    lz4_encode.__defaults__ = (level,)


async def open_connection(host: str, port: int, **options: Any) -> Any:  # noqa: ANN401 - aiokafka has no types
    """Connect to one broker, with TLS and SASL as in `options`. The connection has the methods `send` and `close`.

    Uses `aiokafka.conn.create_conn`, which is undocumented: clients do not report why a broker rejects them. Raises
    the broker's KafkaError, OSError or TimeoutError.
    """
    return await create_conn(host, port, **options)


async def send_request(client: AIOKafkaAdminClient, request: Any, node: int | None = None) -> Any:  # noqa: ANN401
    """Send a request for which the admin client has no method, to `node` or to any broker. Returns the response.

    Uses `AIOKafkaAdminClient._send_request`. Raises KafkaError, OSError or TimeoutError.
    """
    return await client._send_request(request, node)


async def topic_partitions(consumer: aiokafka.AIOKafkaConsumer, topics: Iterable[str]) -> Mapping[str, list[int]]:
    """Request the metadata of these topics. Returns the partitions of each; empty for a topic that is not described.

    Uses `set_topics` and `force_metadata_update` of `AIOKafkaConsumer._client`. The public `topics()` requests the
    metadata of every topic in the cluster, and `partitions_for_topic()` only reads what is cached.
    """
    names = list(topics)
    consumer._client.set_topics(names)
    await consumer._client.force_metadata_update()
    return {name: sorted(consumer.partitions_for_topic(name) or ()) for name in names}


async def send_to_controller(client: AIOKafkaAdminClient, request: Any) -> Any:  # noqa: ANN401 - aiokafka has no types
    """Send a request for which the admin client has no method to the controller. Returns the response.

    Uses `AIOKafkaAdminClient._send_to_controller`. Raises KafkaError, OSError or TimeoutError.
    """
    return await client._send_to_controller(request)


class TransactionHook:
    """Registers partitions before anything is sent, and counts the requests that end a transaction.

    Uses `_txn_manager` of a started producer, and wraps `_do_add_partitions_to_txn` and `_do_txn_commit` of its
    `_sender`. If one of them changes, a commit fails or hangs until its deadline; if `_do_txn_commit` is called
    differently, an end that was sent twice is not noticed.
    """

    def __init__(self, producer: aiokafka.AIOKafkaProducer) -> None:
        self.ends_sent = 0
        """How often the end of the transaction was requested.

        When a response does not arrive, aiokafka repeats the request over another connection. The first request may
        still be in flight. It names the same producer and epoch, so it would end whichever transaction it finds open.
        """
        self._manager = producer._txn_manager
        self._add_response = asyncio.Event()
        sender = producer._sender
        self._add_partitions, self._end = sender._do_add_partitions_to_txn, sender._do_txn_commit
        sender._do_add_partitions_to_txn = self._add_partitions_and_notify
        sender._do_txn_commit = self._end_and_count

    async def register(self, partitions: Iterable[tuple[str, int]]) -> None:
        """Add every partition of the transaction at the coordinator; return when it has confirmed all of them.

        aiokafka adds partitions itself as batches arrive, but sends the batches even when the coordinator has refused:
        a batch that reaches a partition before the marker of the previous transaction is then committed by that
        marker. Raises what ends the transaction, such as TopicAuthorizationFailedError, whose argument is the topics.
        """
        ended = self._manager.wait_for_transaction_end()
        for partition in partitions:
            self._manager.maybe_add_partition_to_txn(TopicPartition(*partition))
        while self._manager.partitions_to_add() and not ended.done():
            self._add_response.clear()
            responded = asyncio.ensure_future(self._add_response.wait())
            await asyncio.wait((responded, ended), return_when=asyncio.FIRST_COMPLETED)
            responded.cancel()
        if ended.done():
            ended.result()

    async def _add_partitions_and_notify(self, partitions: object) -> object:
        try:
            return await self._add_partitions(partitions)
        finally:
            self._add_response.set()

    async def _end_and_count(self, result: object) -> object:
        self.ends_sent += 1
        return await self._end(result)


def cancel_sender(producer: aiokafka.AIOKafkaProducer) -> None:
    """Cancel the sends of a producer that does not stop: it would retry them without end.

    Uses `AIOKafkaProducer._sender.sender_task`. There is no public way to drop unsent batches.
    """
    if (task := producer._sender.sender_task) is not None:
        task.cancel()


class HeartbeatListener(Protocol):
    """Receives the outcome of each heartbeat."""

    def __call__(self, sent_at: float, *, is_confirmed: bool) -> None:
        """The coordinator responded to a heartbeat sent at that time of the loop; whether it confirmed the member."""
        ...


def watch_heartbeats(
    consumer: aiokafka.AIOKafkaConsumer, clock: Callable[[], float], on_response: HeartbeatListener
) -> None:
    """Call `on_response` for each heartbeat of a started consumer to which the coordinator responds.

    Wraps `_do_heartbeat` of `AIOKafkaConsumer._coordinator`, and reads its `_rejoin_needed_fut`, which is done when the
    coordinator responds that the member must join again. If they change, no heartbeat is reported: the daemon then
    replaces its consumer again and again, and a fenced partition is not taken over again.
    """
    coordinator = consumer._coordinator
    send = coordinator._do_heartbeat

    async def heartbeat() -> bool:
        sent_at = clock()
        is_member: bool = await send()
        must_rejoin = coordinator._rejoin_needed_fut.done()
        if is_member or must_rejoin:
            on_response(sent_at, is_confirmed=is_member and not must_rejoin)
        return is_member

    coordinator._do_heartbeat = heartbeat


def member_id(consumer: aiokafka.AIOKafkaConsumer) -> str:
    """The id that the coordinator assigned to this member. It changes when the member is removed and joins again.

    Uses `AIOKafkaConsumer._coordinator.member_id`.
    """
    member: str = consumer._coordinator.member_id
    return member


def is_coordinator_known(consumer: aiokafka.AIOKafkaConsumer) -> bool:
    """Whether the consumer has a coordinator of its group that it has not marked as dead.

    Uses `AIOKafkaConsumer._coordinator.coordinator_id`.
    """
    return consumer._coordinator.coordinator_id is not None
