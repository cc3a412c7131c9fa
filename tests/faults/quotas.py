"""A broker with a quota that limits the collector's fetches."""

import os

import aiokafka
import anyio

from collector.kafka.epoch import partition_of
from collector.kafka.settings import STATE_TOPIC
from collector.model import Account
from collector.simulator import vidicenter
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.faults.testbed import Testbed
from tests.kafka.broker import Broker
from tests.kafka.client_quotas import FETCHED, limited
from tests.kafka.daemon import until
from tests.kafka.scenario import Replica

BYTES_PER_S = 200_000.0
"""The broker delays the next response to a client that has fetched a megabyte too many by five seconds."""
STATE_PARTITIONS = 4
"""As in the replicas' configuration."""
CHUNK_BYTES = 20_000
"""A thousand entries, as one commit writes them. The broker never sends a batch of more than ten seconds' quota."""
CHUNKS = 1300
"""Under the quota, they take at least 130 seconds."""
MIN_RESTORE_S = 120.0
"""Longer than any deadline of an epoch: a restore may take any time as long as it progresses."""
MAX_RESTORE_S = 300.0
"""Requests that a client has given up on use a share of the quota too."""
MIN_SHARES = 10


async def restored_under_a_quota(testbed: Testbed, times: int) -> int:
    """A replica is killed, and the broker's quota makes the next restore take more than two minutes.

    The restore progresses all the time, which the status shows, and succeeds at the first attempt. A recovery counts
    from the end of the quota. Most of the state belongs to a source that is no longer configured.
    """
    (broker,) = testbed.cluster.nodes
    replica = testbed.replica()
    await testbed.wait_for_all_sources()
    await anyio.to_thread.run_sync(replica.stop)
    await _write_unused_state(broker, testbed.prefix)
    replica.start()
    await testbed.wait_for_all_sources()
    for _ in range(times):
        replica.kill()
        async with limited(broker, {FETCHED: BYTES_PER_S}):
            start_s = anyio.current_time()
            replica.start()
            progress = Progress(replica)
            await until(progress.is_over, "the state is restored", MAX_RESTORE_S)
            took_s = anyio.current_time() - start_s
        assert took_s > MIN_RESTORE_S
        progress.verify()
        await testbed.wait_for_recovery()
    return times


class Progress:
    """The progress of a partition's restore, as the status of a stream in it reports it."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._states: list[str] = []
        """In order, without repetitions."""
        self._shares: list[float] = []

    async def is_over(self) -> bool:
        """Whether the stream runs. Records its status, so it must be called repeatedly."""
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
        """Fail unless there was exactly one restore, whose share only rose."""
        assert ["restoring"] == [state for state in self._states[:-1] if state != "not_owned"], self._states
        assert self._shares == sorted(self._shares)
        assert 0 <= self._shares[0] < self._shares[-1] <= 1
        assert len(set(self._shares)) >= MIN_SHARES


async def _write_unused_state(broker: Broker, prefix: str) -> None:
    """Write the ledger of a source with many records into the state partition of its account."""
    account = Account("quividi", vidicenter.USERNAME)
    partition = partition_of(str(account), STATE_PARTITIONS)
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.address, acks="all") as producer:
        for page in range(CHUNKS):
            key = f"{account.vendor}/{account.user}/closed/viewers/{page}/0".encode()
            chunk = (
                bytes((1, 1)) + page.to_bytes(8, "big") + os.urandom(CHUNK_BYTES)
            )  # like digests, it does not compress
            await producer.send_and_wait(prefix + STATE_TOPIC, chunk, key, partition)
