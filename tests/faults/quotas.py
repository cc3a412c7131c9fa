"""A broker that gives the collector little: a client's quota, in bytes a second."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiokafka
import anyio
from aiokafka.conn import create_conn
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from collector.commands.verdict import QUIVIDI
from collector.kafka.epoch import partition_of
from collector.kafka.settings import STATE_TOPIC
from collector.model import Account
from collector.simulator import vidicenter
from tests.faults.stage import Stage
from tests.kafka.broker import Broker
from tests.kafka.daemon import until
from tests.kafka.town import Replica

CLIENT = "collector"
"""The name that the collector's clients give themselves; the tests' own have others."""
RATE = 100_000.0
"""Bytes a second: the broker makes a client that fetched a megabyte wait for ten seconds."""
STATE_PARTITIONS = 4
"""As the replicas' configuration has it."""
CHUNK_BYTES = 20_000
"""What one commit left behind: a thousand lines. It must come well within a quota's eleven seconds, or never does."""
CHUNKS = 700
"""In all they take 140 seconds."""
FORMER_S = 120.0
"""The deadline that a restore once had, whether it got on or not."""
LONGEST_S = 300.0
FEWEST_SHARES = 10
_ENTITY = ("entity", Array(("entity_type", String("utf-8")), ("entity_name", String("utf-8"))))


class AlterClientQuotasResponse_v0(Response):  # type: ignore[misc]  # noqa: N801 - as aiokafka names them
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", String("utf-8")), _ENTITY)),
    )


class AlterClientQuotasRequest_v0(RequestStruct):  # type: ignore[misc]  # noqa: N801 - the same
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = AlterClientQuotasResponse_v0
    SCHEMA = Schema(
        (
            "entries",
            Array(_ENTITY, ("ops", Array(("key", String("utf-8")), ("value", Float64), ("remove", Boolean)))),
        ),
        ("validate_only", Boolean),
    )


class AlterClientQuotas(Request[AlterClientQuotasRequest_v0]):  # type: ignore[misc]
    """How much a client may fetch a second, in bytes; None is no limit. aiokafka has no such request."""

    API_KEY = 49

    def __init__(self, client: str, bytes_per_second: float | None) -> None:
        self._entity = [("client-id", client)]
        self._operation = ("consumer_byte_rate", bytes_per_second or 0.0, bytes_per_second is None)

    def build(self, request_struct_class: type[AlterClientQuotasRequest_v0]) -> AlterClientQuotasRequest_v0:
        return request_struct_class([(self._entity, [self._operation])], False)  # noqa: FBT003 - to be done, not only validated


async def restored_under_a_quota(stage: Stage, times: int) -> int:
    """A replica dies, and the next one may read the state only so slowly that a restore takes more than two minutes.

    It gets on all the while, and says how far it is; it comes through in one restore. Nothing that lasts as long as
    that is a recovery; what is measured begins when the state is read. Most of the state is what a source left behind
    that is configured no more.
    """
    (broker,) = stage.cluster.nodes
    replica = stage.replica()
    await stage.goes_on()
    await anyio.to_thread.run_sync(replica.end)
    await _leave_behind(broker, stage.prefix)
    replica.start()
    await stage.goes_on()
    for _ in range(times):
        replica.kill()
        async with quota(broker, RATE):
            began = anyio.current_time()
            replica.start()
            progress = Progress(replica)
            await until(progress.has_come_through, "the state is restored", LONGEST_S)
            took_s = anyio.current_time() - began
        assert took_s > FORMER_S
        progress.verify()
        await stage.recovers()
    return times


class Progress:
    """Of one replica's restore, as its status shows it."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._states: list[str] = []
        """One after the other; each once, however long it lasted."""
        self._shares: list[float] = []

    async def has_come_through(self) -> bool:
        """Whether the stream runs; looks at its status, and should be called often."""
        row = (await self._replica.streams()).get(QUIVIDI)
        if row is None:
            return False
        state, share = row["state"], row.get("restoring")
        if self._states[-1:] != [state]:
            self._states.append(state)
        if state == "restoring" and share is not None:
            self._shares.append(share)
        return state not in ("not_owned", "restoring")

    def verify(self) -> None:
        """There was one restore, and the share of it that was done rose."""
        assert ["restoring"] == [state for state in self._states[:-1] if state != "not_owned"], self._states
        assert self._shares == sorted(self._shares)
        assert 0 <= self._shares[0] < self._shares[-1] <= 1
        assert len(set(self._shares)) >= FEWEST_SHARES


async def _leave_behind(broker: Broker, prefix: str) -> None:
    """What a source with many records left in the state partition of the account: pages of its ledger."""
    account = Account("quividi", vidicenter.USERNAME)
    partition = partition_of(str(account), STATE_PARTITIONS)
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
        for page in range(CHUNKS):
            key = f"{account.vendor}/{account.user}/closed/viewers/{page}/0".encode()
            chunk = bytes((1, 1)) + page.to_bytes(8, "big") + os.urandom(CHUNK_BYTES)  # digests, so it does not pack
            await producer.send_and_wait(prefix + STATE_TOPIC, chunk, key, partition)


@asynccontextmanager
async def quota(broker: Broker, bytes_per_second: float) -> AsyncIterator[None]:
    """All that the collector fetches from the broker together comes no faster than this, until the end of the block."""
    await _set(broker, bytes_per_second)
    try:
        yield
    finally:
        await _set(broker, None)


async def _set(broker: Broker, bytes_per_second: float | None) -> None:
    connection = await create_conn("127.0.0.1", broker.port)
    try:
        answer = (await connection.send(AlterClientQuotas(CLIENT, bytes_per_second))).to_object()
    finally:
        connection.close()
    assert [0] == [entry["error_code"] for entry in answer["entries"]]
