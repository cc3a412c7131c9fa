"""One ownership of a state partition: fencing, restoring, committing; against a real broker."""

import gc
from contextlib import AbstractAsyncContextManager
from types import AsyncGeneratorType

import anyio
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from collector.cloudevents import Envelope, Message
from collector.errors import EpochEnded, KafkaMisconfigured
from collector.kafka import epoch as epoch_module
from collector.kafka import restore
from collector.kafka.claim import Accepted, accept, claim
from collector.kafka.epoch import Epoch, KnownOffset, epoch, partition_of
from collector.kafka.header import HeaderMissing, StateLost
from collector.kafka.producer import Fenced
from collector.kafka.reader import Progress, open_reader, reported_ends
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe, ensure_topics
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.messages import message_with

pytestmark = pytest.mark.anyio


class Deployment:
    """Topics with a prefix of the test's own, and the telemetry of the process."""

    def __init__(self, kafka: str, prefix: str, **keys: object) -> None:
        self.settings = KafkaSettings.model_validate(
            {
                "bootstrap_servers": kafka,
                "topic_prefix": prefix,
                "group": f"{prefix}group",
                "state_partitions": 2,
                "partitions": 3,
                **keys,
            }
        )
        self.metrics = Metrics()
        self.telemetry = KafkaTelemetry(self.metrics, ProcessStatus("0", "group"))

    def epoch(self, partition: int = 0, known_offset: KnownOffset | None = None) -> AbstractAsyncContextManager[Epoch]:
        return epoch(partition, self.settings, self.telemetry, lambda: True, known_offset=known_offset)

    async def create(self) -> None:
        """Create the topics that are missing."""
        await ensure_topics(self.settings, self.event_topics)

    @property
    def event_topics(self) -> set[str]:
        return {f"{self.settings.topic_prefix}things"}

    def message(self, text: str, key: str = "1", topic: str = "things") -> Message:
        envelope = Envelope(
            self.settings.topic_prefix + topic, ("ce_source", b"/test/list"), ("ce_type", b"test.thing.v1")
        )
        return message_with(envelope, key.encode(), text.encode(), text.encode())

    async def delete(self, *topics: str) -> None:
        """Delete topics; return when no broker describes them."""
        async with admin(self.settings) as client:
            await client.delete_topics(list(topics))
            while await describe(client, self.settings, list(topics)):  # noqa: ASYNC110 - brokers announce nothing
                await anyio.sleep(0.05)

    async def committed(self, topic: str) -> list[tuple[bytes, bytes]]:
        """Key and value of all committed messages."""
        name = self.settings.topic_prefix + topic
        ends = {TopicPartition(name, number): end for number, end in (await reported_ends(self.settings, name)).items()}
        found: list[tuple[bytes, bytes]] = []
        async with open_reader(self.settings) as reader:
            await reader.assign(list(ends))
            while not await reader.has_passed(ends):
                found += [(record.key, record.value) for record in await reader.poll()]
        return found

    def outcomes(self) -> dict[str, float | None]:
        return {
            outcome: self.metrics.registry.get_sample_value("collector_transactions_total", {"outcome": outcome})
            for outcome in ("committed", "aborted", "fenced")
        }


@pytest.fixture
async def deployment(kafka: str, prefix: str) -> Deployment:
    fresh = Deployment(kafka, prefix)
    await fresh.create()
    assert await claim(fresh.settings, fresh.event_topics, 0)
    return fresh


async def test_events_and_state_are_committed_together_and_restored(deployment: Deployment) -> None:
    async with deployment.epoch() as first:
        await first.commit([deployment.message("a"), deployment.message("b", key="2")], {b"k": b"v", b"gone": b"v"})
        await first.commit([], {b"gone": None})
    assert {(b"1", b"a"), (b"2", b"b")} == set(await deployment.committed("things"))
    async with deployment.epoch() as second:
        assert {b"k": b"v"} == {key: value for key, value in second.pairs.items() if not key.startswith(b"#")}


async def test_an_epoch_keeps_nothing_of_the_restored_state_that_its_owner_drops(deployment: Deployment) -> None:
    async with deployment.epoch() as current:
        pairs, current.pairs = current.pairs, {}
        assert [] == [each for each in gc.get_referrers(pairs) if isinstance(each, AsyncGeneratorType)]


async def test_a_new_epoch_fences_the_one_before(deployment: Deployment) -> None:
    async with deployment.epoch() as first:
        await first.commit([deployment.message("mine")], {b"k": b"1"})
        async with deployment.epoch() as second:
            assert b"1" == second.pairs[b"k"]
            with pytest.raises(EpochEnded):
                await first.commit([deployment.message("stale")], {b"k": b"2"})
            assert isinstance(first.failure, Fenced)
            await second.commit([deployment.message("theirs")], {b"k": b"3"})
    assert [b"mine", b"theirs"] == [value for _, value in await deployment.committed("things")]
    assert 1 == deployment.outcomes()["fenced"]


async def test_an_epoch_that_nobody_disturbs_commits_nothing_to_watch_its_partition(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_module, "WATCH_S", 0.01)
    async with deployment.epoch() as only, anyio.create_task_group() as tasks:
        ends = Ends(deployment.settings)
        tasks.start_soon(only.watch, ends.end)
        for text in ("a", "b"):
            await only.commit([deployment.message(text)], {b"k": text.encode()})
            await ends.requested(5)
        await only.commit([], {b"k": None})
        await ends.requested(5)
        assert 3 == only.commits
        tasks.cancel_scope.cancel()


async def test_an_epoch_that_commits_nothing_notices_soon_that_it_is_fenced(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(epoch_module, "WATCH_S", 0.01)
    async with deployment.epoch() as first:
        async with deployment.epoch():
            with pytest.raises(EpochEnded), anyio.fail_after(20):
                await first.watch(Ends(deployment.settings).end)
        assert isinstance(first.failure, Fenced)


class Ends:
    """The end of partition 0 of the state topic, and how often it was requested."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._requests = 0
        self._requested = anyio.Event()

    async def end(self) -> int | None:
        found = await reported_ends(self._settings, self._settings.state_topic, [0])
        self._requests += 1
        self._requested.set()
        self._requested = anyio.Event()
        return next(iter(found.values()))

    async def requested(self, times: int) -> None:
        """Return after this many more requests."""
        last = self._requests + times
        while self._requests < last:
            await self._requested.wait()


async def test_an_epoch_without_changes_notices_that_it_is_fenced(deployment: Deployment) -> None:
    async with deployment.epoch() as first:
        await first.commit((), {b"k": b"1"})
        await first.verify()
        async with deployment.epoch() as second:
            assert b"1" == second.pairs[b"k"]
            with pytest.raises(EpochEnded):
                await first.verify()
            assert isinstance(first.failure, Fenced)
            await second.verify()
    async with deployment.epoch() as third:
        assert b"1" == third.pairs[b"k"]


async def test_a_failed_commit_ends_the_epoch(deployment: Deployment) -> None:
    async with deployment.epoch() as holding:
        with pytest.raises(KafkaMisconfigured) as error:
            await holding.commit([deployment.message("lost?", topic="nowhere")], {b"k": b"1"})
        assert "topic_missing" == error.value.code
        with pytest.raises(EpochEnded):
            await holding.commit([deployment.message("later")], {b"k": b"2"})
    assert [] == await deployment.committed("things")
    async with deployment.epoch() as again:
        assert b"k" not in again.pairs


async def test_an_open_transaction_is_aborted_and_not_restored(deployment: Deployment) -> None:
    async with deployment.epoch() as first:
        producer = first._producer
        await producer.begin_transaction()
        await (await producer.send(deployment.settings.state_topic, b"half", key=b"k", partition=0))
        await (await producer.send(deployment.settings.topic_prefix + "things", b"half", key=b"1"))
        async with deployment.epoch() as second:
            assert b"k" not in second.pairs
            await second.commit([deployment.message("whole")], {b"k": b"whole"})
        async with deployment.epoch() as third:
            assert b"whole" == third.pairs[b"k"]
    assert [b"whole"] == [value for _, value in await deployment.committed("things")]


async def test_messages_of_one_key_keep_their_order_across_batches(deployment: Deployment) -> None:
    texts = [f"{number:06d}-{'x' * 500}" for number in range(3000)]
    async with deployment.epoch() as holding:
        await holding.commit(
            [deployment.message(text, key=str(number % 5)) for number, text in enumerate(texts)], {b"k": b"v"}
        )
    found = await deployment.committed("things")
    assert sorted(texts) == sorted(value.decode() for _, value in found)
    for key in range(5):
        of_key = [value.decode() for name, value in found if name == str(key).encode()]
        assert sorted(of_key) == of_key


async def test_a_state_topic_of_another_deployment_is_refused(deployment: Deployment, kafka: str, prefix: str) -> None:
    async with deployment.epoch():
        pass
    other = Deployment(kafka, prefix, group="another")
    with pytest.raises(KafkaMisconfigured) as error:
        async with other.epoch():
            pass
    assert "state_of_another_deployment" == error.value.code
    assert "kafka.group" in error.value.advice


async def test_the_partition_of_an_account_never_changes() -> None:
    """Murmur2, as in Java's clients. With another hash, an account's state would be read from another partition."""
    assert [14, 21, 19] == [partition_of(account, 32) for account in ("seemetrix/864", "seemetrix/632", "quividi/me")]


async def test_the_state_topic_is_claimed_only_while_all_topics_are_empty(deployment: Deployment) -> None:
    assert await claim(deployment.settings, deployment.event_topics, 0), "it is claimed already"
    await deployment.delete(deployment.settings.state_topic)
    await deployment.create()
    with pytest.raises(HeaderMissing):
        async with deployment.epoch():
            pass
    assert await claim(deployment.settings, deployment.event_topics, 0)
    async with deployment.epoch() as holding:
        await holding.commit([deployment.message("published")], {b"k": b"v"})
    await deployment.delete(deployment.settings.state_topic)
    await deployment.create()

    assert not await claim(deployment.settings, deployment.event_topics, 0)
    with pytest.raises(HeaderMissing) as error:
        async with deployment.epoch():
            pass
    assert 0 == error.value.partition
    assert "collector state init" in error.value.advice


async def test_an_operator_can_accept_the_loss_of_state(deployment: Deployment) -> None:
    async with deployment.epoch(1) as holding:
        await holding.commit([deployment.message("published")], {b"k": b"v"})
    assert Accepted([], []) == await accept(deployment.settings)
    await deployment.delete(deployment.settings.state_topic)
    await deployment.create()

    assert Accepted([0, 1], []) == await accept(deployment.settings)

    async with deployment.epoch(1) as holding:
        assert b"k" not in holding.pairs
    assert Accepted([], []) == await accept(deployment.settings)


async def test_nothing_is_committed_to_a_state_topic_that_was_re_created(
    deployment: Deployment,
) -> None:
    async with deployment.epoch() as holding:
        await holding.commit([deployment.message("before")], {b"k": b"1"})
        await deployment.delete(deployment.settings.state_topic)
        await deployment.create()
        with pytest.raises(StateLost):
            await holding.commit([deployment.message("after")], {b"k": b"2"})
    assert [b"before"] == [value for _, value in await deployment.committed("things")]


async def test_a_truncated_partition_is_refused_by_every_process_until_an_operator_accepts_the_loss(
    deployment: Deployment,
) -> None:
    known_offset = KnownOffset()
    async with deployment.epoch(known_offset=known_offset):
        pass
    known_offset.last = 1000  # acknowledged by a broker that has lost it since
    with pytest.raises(StateLost, match="1000"):
        async with deployment.epoch(known_offset=known_offset):
            pass
    for other in (known_offset, None):
        with pytest.raises(KafkaMisconfigured, match="1000") as error:
            async with deployment.epoch(known_offset=other):
                pass
        assert "state_truncated" == error.value.code
    async with deployment.epoch(1):
        pass  # the other partition is not affected

    assert Accepted([], [0]) == await accept(deployment.settings)

    async with deployment.epoch(known_offset=known_offset):
        pass


async def test_a_restore_without_barrier_is_refused(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that lacks the barrier cannot pass off its shorter log as the whole state."""
    async with deployment.epoch() as holding:
        await holding.commit((), {b"k": b"v"})

    async def short(settings: KafkaSettings, partition: int, end: int, progress: Progress) -> dict[bytes, bytes]:
        return await restore.restore(settings, partition, end - 1, progress)

    monkeypatch.setattr(epoch_module, "restore", short)
    with pytest.raises(ConnectionError, match="barrier"):
        async with deployment.epoch():
            pass


async def test_a_commit_to_a_deleted_topic_is_refused_with_its_name(deployment: Deployment) -> None:
    async with deployment.epoch() as holding:
        await holding.commit([deployment.message("before")], {})
    async with admin(deployment.settings) as client:
        await client.delete_topics([deployment.settings.topic_prefix + "things"])
    async with deployment.epoch() as holding:
        with pytest.raises(KafkaMisconfigured) as error:
            await holding.commit([deployment.message("after")], {})
    assert "topic_missing" == error.value.code
    assert deployment.settings.topic_prefix + "things" == error.value.topic


@pytest.mark.parametrize(("topic", "expected"), [("collector.state", None), ("things", "things")])
async def test_refused_timestamps_are_reported_as_a_wrong_clock(
    deployment: Deployment, topic: str, expected: str | None
) -> None:
    """A topic that accepts no record from the past stands in for a wrong clock."""
    prefix = deployment.settings.topic_prefix
    async with deployment.epoch() as holding:
        async with admin(deployment.settings) as client:
            strict = {"message.timestamp.before.max.ms": "0"}
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, prefix + topic, strict)])

        async def commit_until_the_setting_applies() -> None:
            while True:
                await holding.commit([deployment.message("dated")], {b"k": b"1"})

        with pytest.raises(KafkaMisconfigured) as error:
            await commit_until_the_setting_applies()
    assert "timestamps_refused" == error.value.code
    assert (expected and prefix + expected) == error.value.topic


async def test_a_missing_state_topic_is_refused_as_lost_state(deployment: Deployment) -> None:
    await deployment.delete(deployment.settings.state_topic)
    with pytest.raises(KafkaMisconfigured) as error:
        async with deployment.epoch():
            pass
    assert "state_topic_missing" == error.value.code
    assert deployment.settings.state_topic in str(error.value)
    assert "collector state init" in error.value.advice


async def test_a_state_topic_with_another_number_of_partitions_is_refused(deployment: Deployment) -> None:
    other = deployment.settings.model_copy(update={"state_partitions": 3})
    with pytest.raises(KafkaMisconfigured) as error:
        async with epoch(0, other, deployment.telemetry, lambda: True):
            pass
    assert "state_partitions" == error.value.code
    assert "kafka.state_partitions is 3" in str(error.value)
