"""Every use of a private or undocumented name of aiokafka, one function or class for each.

A new minor version of aiokafka may change any of them, so pyproject.toml bounds it. A contract test for each hook
(tests/test_hooks.py, tests/kafka/test_hooks.py) fails when a version does; no other module uses a private name.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from math import inf
from time import monotonic
from typing import Any, Protocol

import aiokafka
import aiokafka.conn
import anyio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.codec import gzip_encode, lz4_encode, zstd_encode
from aiokafka.conn import AIOKafkaConnection, CloseReason, create_conn
from aiokafka.errors import KafkaError, SaslAuthenticationFailed
from aiokafka.protocol.admin import SaslAuthenticateRequest
from aiokafka.structs import TopicPartition

MIN_SESSION_LEFT = 0.2
"""A connection is replaced when less of its session is left."""
RENEWAL_RETRY_S = 1.0
"""The wait after a replacement that failed, and the least age of a connection that is replaced, unless its session is
shorter than twice that: then half of it."""
MIN_AGE_S = 0.25
"""The least age in any case: a token that is about to end opens sessions that hardly last."""


def set_levels(lz4: int, zstd: int, gzip: int) -> None:
    """Set the levels at which every producer of this process compresses.

    Replaces the default arguments of the functions in `aiokafka.codec`, which record batches call without a level. If
    that changes, batches are compressed at aiokafka's own levels: correct, but slower.
    """
    lz4_encode.__defaults__, zstd_encode.__defaults__, gzip_encode.__defaults__ = (lz4,), (zstd,), (gzip,)


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


class Connection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection that knows when its session ends, and that fails when the broker refuses its token.

    Overrides `send` of `AIOKafkaConnection`, and replaces that name in `aiokafka.conn`, from which `create_conn` makes
    every connection of all clients; uses `_sasl_mechanism` and `_requests`. If they change, sessions are not renewed:
    the broker cuts each connection at its end.
    """

    def __init__(self, host: str, port: int, **options: Any) -> None:  # noqa: ANN401 - aiokafka has no types
        super().__init__(host, port, **options)
        self._options = options
        self.opened_at = monotonic()
        self.session_s: float | None = None
        """The length of the session; None if it has no end."""

    def send(self, request: Any, expect_response: bool = True) -> Awaitable[Any]:  # noqa: ANN401, FBT001, FBT002
        """Send a request, as aiokafka does, and read the session in the response to an authentication (KIP-368)."""
        response: Awaitable[Any] = super().send(request, expect_response)
        return self._authenticated(response) if isinstance(request, SaslAuthenticateRequest) else response

    async def _authenticated(self, response: Awaitable[Any]) -> Any:  # noqa: ANN401
        self.opened_at = monotonic()
        received = await response
        if self._sasl_mechanism == "OAUTHBEARER" and not received.error_code and received.sasl_auth_bytes:
            # RFC 7628, 3.2.3: the server's first response has the error, and the client ends the exchange. aiokafka
            # continues as if it were authenticated.
            raise SaslAuthenticationFailed("the broker refuses the token")
        if session_ms := getattr(received, "session_lifetime_ms", 0):
            self.session_s = session_ms / 1000
        return received

    @property
    def left_s(self) -> float | None:
        """What is left of the session; negative once it has ended. None if it has no end."""
        return None if self.session_s is None else self.opened_at + self.session_s - monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether no request waits for its response."""
        return all(future.done() for *_, future in self._requests)

    async def reopened(self) -> "Connection":
        """A new connection to the same broker for the same client. Raises as `open_connection` does."""
        renewed: Connection = await create_conn(self.host, self.port, **self._options)
        return renewed


aiokafka.conn.AIOKafkaConnection = Connection


class Sessions:
    """Replaces the connections of a client before their sessions end.

    A broker closes a connection at the first request after the end of its session (KIP-368), which is that of the
    token, or after `connections.max.reauth.ms`; that request is lost. aiokafka does not authenticate again.

    Replaces values of `_conns` of `AIOKafkaClient`, which is `client` of a producer and `_client` of a consumer or an
    admin client. If they change, sessions are not renewed.
    """

    def __init__(self, owner: aiokafka.AIOKafkaProducer | aiokafka.AIOKafkaConsumer | AIOKafkaAdminClient) -> None:
        """`owner` need not be started yet."""
        self._client = owner.client if isinstance(owner, aiokafka.AIOKafkaProducer) else owner._client
        self._replaced: list[Connection] = []
        """Former connections, which respond to what was sent before."""
        self._failures: dict[object, tuple[float, Exception]] = {}
        """By connection: when to try again, and why the last attempt failed."""

    async def renew(self, needed_s: float = 0.0) -> Exception | None:
        """Replace each connection whose session ends soon; requests from now on use the new one.

        "Soon" is the last fifth of a session, or `needed_s` if that is more, but at most half of the session. Call it
        when no transaction is open: requests over two connections may overtake each other. Returns why a connection
        could not be replaced; it stays in use. None if all were.
        """
        self._close(each for each in self._replaced if each.is_idle)
        due = {each: old for each, old in self._client._conns.items() if _is_due(each, old, needed_s)}
        if due:
            async with anyio.create_task_group() as tasks:
                for each, old in due.items():
                    tasks.start_soon(self._replace, each, old)
        self._failures = {each: failure for each, failure in self._failures.items() if each in due}
        return next((error for _, error in self._failures.values()), None)

    def has_ended(self) -> bool:
        """Whether the session of a connection has ended: the broker will close it at the next request."""
        return any(
            (getattr(each, "left_s", None) or 1) < 0 for each in self._client._conns.values() if each.connected()
        )

    def shortest_s(self) -> float:
        """The length of the shortest session of a connection, in seconds; infinite if none has an end."""
        lengths = (getattr(each, "session_s", None) for each in self._client._conns.values())
        return min((each for each in lengths if each is not None), default=inf)

    def close(self) -> None:
        """Close the former connections. The client closes those in use."""
        self._close(self._replaced)

    async def _replace(self, each: object, old: Connection) -> None:
        if monotonic() < self._failures.get(each, (0.0, None))[0]:
            return
        try:
            with anyio.fail_after(self._client._request_timeout_ms / 1000):
                new = await old.reopened()
        except (KafkaError, OSError, TimeoutError) as error:
            self._failures[each] = monotonic() + RENEWAL_RETRY_S, error
            return
        self._failures.pop(each, None)
        if self._client._conns.get(each) is not old:  # it broke, and the client has opened another one
            new.close()
            return
        self._client._conns[each] = new
        self._replaced.append(old)
        self._close(each for each in self._replaced if each.is_idle)

    def _close(self, connections: Iterable[Connection]) -> None:
        closed = list(connections)
        for each in closed:
            each.close(CloseReason.SHUTDOWN)
        self._replaced = [each for each in self._replaced if each not in closed]


def _is_due(key: tuple[object, object], connection: Connection, needed_s: float) -> bool:
    """Whether a connection of a client must be replaced. Bootstrap connections are used only for a moment."""
    left_s = getattr(connection, "left_s", None)
    if left_s is None or connection.session_s is None or key[0] == "bootstrap" or not connection.connected():
        return False
    if monotonic() - connection.opened_at < max(MIN_AGE_S, min(RENEWAL_RETRY_S, connection.session_s / 2)):
        return False
    enough_s = max(MIN_SESSION_LEFT * connection.session_s, min(connection.session_s / 2, needed_s))
    return bool(left_s < enough_s)
