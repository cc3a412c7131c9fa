"""One ownership of a state partition: fencing, restoring, committing; against a real broker."""

from contextlib import AbstractAsyncContextManager

import aiokafka
import anyio
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from collector.cloudevents import Envelope, Message
from collector.errors import EpochEnded, KafkaMisconfigured
from collector.kafka import epoch as epoch_module
from collector.kafka import restore
from collector.kafka.claim import Accepted, accept, claim
from collector.kafka.epoch import Epoch, SeenOffset, epoch, partition_of
from collector.kafka.header import HeaderMissing, StateLost
from collector.kafka.producer import Fenced
from collector.kafka.restore import Progress
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe, ensure
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus

pytestmark = pytest.mark.anyio


class Place:
    """A state topic of the test's own, and what is told of it."""

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

    def epoch(self, partition: int = 0, seen: SeenOffset | None = None) -> AbstractAsyncContextManager[Epoch]:
        return epoch(partition, self.settings, self.telemetry, lambda: True, seen=seen)

    async def created(self) -> None:
        """The topics are there."""
        await ensure(self.settings, {"things"})

    async def delete(self, *topics: str) -> None:
        """Return when no broker knows the topics any more."""
        async with admin(self.settings) as client:
            await client.delete_topics(list(topics))
            while await describe(client, self.settings, list(topics)):  # noqa: ASYNC110 - brokers announce nothing
                await anyio.sleep(0.05)

    async def committed(self, topic: str) -> list[tuple[bytes, bytes]]:
        """What a consumer that reads committed messages sees in all partitions."""
        name = self.settings.topic_prefix + topic
        consumer = aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            await consumer._client.set_topics([name])
            places = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name)]
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends, found = await consumer.end_offsets(places), []
            while [place for place in places if await consumer.position(place) < ends[place]]:
                records = await consumer.getmany(timeout_ms=100)
                found += [(record.key, record.value) for batch in records.values() for record in batch]
            return found
        finally:
            await consumer.stop()

    def outcomes(self) -> dict[str, float | None]:
        return {
            outcome: self.metrics.registry.get_sample_value("collector_transactions_total", {"outcome": outcome})
            for outcome in ("committed", "aborted", "fenced")
        }


@pytest.fixture
async def place(kafka: str, prefix: str) -> Place:
    fresh = Place(kafka, prefix)
    await fresh.created()
    assert await claim(fresh.settings, {"things"}, 0)
    return fresh


def message(text: str, key: str = "1", topic: str = "things") -> Message:
    envelope = Envelope(topic, ("ce_source", b"/test/list"), ("ce_type", b"test.thing.v1"))
    return Message(envelope, key.encode(), text.encode(), text.encode(), b"thing", b"2026-11-01T00:00:00.000Z")


async def test_events_and_state_are_committed_together_and_restored(place: Place) -> None:
    async with place.epoch() as first:
        await first.commit([message("a"), message("b", key="2")], {b"k": b"v", b"gone": b"v"})
        await first.commit([], {b"gone": None})
    assert {(b"1", b"a"), (b"2", b"b")} == set(await place.committed("things"))
    async with place.epoch() as second:
        assert {b"k": b"v"} == {key: value for key, value in second.pairs.items() if not key.startswith(b"#")}


async def test_a_new_epoch_fences_the_one_before(place: Place) -> None:
    async with place.epoch() as first:
        await first.commit([message("mine")], {b"k": b"1"})
        async with place.epoch() as second:
            assert b"1" == second.pairs[b"k"]
            with pytest.raises(EpochEnded):
                await first.commit([message("stale")], {b"k": b"2"})
            assert isinstance(first.over, Fenced)
            await second.commit([message("theirs")], {b"k": b"3"})
    assert [b"mine", b"theirs"] == [value for _, value in await place.committed("things")]
    assert 1 == place.outcomes()["fenced"]


async def test_after_anything_but_a_clean_commit_the_epoch_is_over(place: Place) -> None:
    async with place.epoch() as holding:
        with pytest.raises(KafkaMisconfigured, match="missing"):
            await holding.commit([message("lost?", topic="nowhere")], {b"k": b"1"})
        with pytest.raises(EpochEnded):
            await holding.commit([message("later")], {b"k": b"2"})
    assert [] == await place.committed("things")
    async with place.epoch() as again:
        assert b"k" not in again.pairs


async def test_what_was_left_open_is_aborted_and_not_restored(place: Place) -> None:
    async with place.epoch() as first:
        producer = first._producer
        await producer.begin_transaction()
        await (await producer.send(place.settings.state_topic, b"half", key=b"k", partition=0))
        await (await producer.send(place.settings.topic_prefix + "things", b"half", key=b"1"))
        async with place.epoch() as second:
            assert b"k" not in second.pairs
            await second.commit([message("whole")], {b"k": b"whole"})
        async with place.epoch() as third:
            assert b"whole" == third.pairs[b"k"]
    assert [b"whole"] == [value for _, value in await place.committed("things")]


async def test_messages_of_one_key_keep_their_order_over_many_batches(place: Place) -> None:
    texts = [f"{number:06d}-{'x' * 500}" for number in range(3000)]
    async with place.epoch() as holding:
        await holding.commit([message(text, key=str(number % 5)) for number, text in enumerate(texts)], {b"k": b"v"})
    found = await place.committed("things")
    assert sorted(texts) == sorted(value.decode() for _, value in found)
    for key in range(5):
        of_key = [value.decode() for name, value in found if name == str(key).encode()]
        assert sorted(of_key) == of_key


async def test_a_state_topic_of_another_deployment_is_refused(place: Place, kafka: str, prefix: str) -> None:
    async with place.epoch():
        pass
    other = Place(kafka, prefix, group="another")
    with pytest.raises(KafkaMisconfigured, match="another deployment") as refused:
        async with other.epoch():
            pass
    assert "kafka.group" in refused.value.advice


async def test_partitions_of_accounts_are_fixed() -> None:
    """Murmur2, as Java's clients have it: a change would look for every account's state in another place."""
    assert [14, 21, 19] == [partition_of(account, 32) for account in ("seemetrix/864", "seemetrix/632", "quividi/me")]


async def test_only_an_empty_state_topic_beside_empty_event_topics_is_claimed(place: Place) -> None:
    assert await claim(place.settings, {"things"}, 0), "it is claimed already"
    await place.delete(place.settings.state_topic)
    await place.created()
    with pytest.raises(HeaderMissing):
        async with place.epoch():
            pass
    assert await claim(place.settings, {"things"}, 0)
    async with place.epoch() as holding:
        await holding.commit([message("published")], {b"k": b"v"})
    await place.delete(place.settings.state_topic)
    await place.created()

    assert not await claim(place.settings, {"things"}, 0)
    with pytest.raises(HeaderMissing, match="partition 0") as refused:
        async with place.epoch():
            pass
    assert "collector state init" in refused.value.advice


async def test_an_operator_accepts_the_loss_of_state(place: Place) -> None:
    async with place.epoch(1) as holding:
        await holding.commit([message("published")], {b"k": b"v"})
    assert Accepted([], []) == await accept(place.settings)
    await place.delete(place.settings.state_topic)
    await place.created()

    assert Accepted([0, 1], []) == await accept(place.settings)

    async with place.epoch(1) as holding:
        assert b"k" not in holding.pairs
    assert Accepted([], []) == await accept(place.settings)


async def test_a_topic_that_is_re_created_under_a_running_epoch_gets_no_commit(place: Place) -> None:
    async with place.epoch() as holding:
        await holding.commit([message("before")], {b"k": b"1"})
        await place.delete(place.settings.state_topic)
        await place.created()
        with pytest.raises(StateLost, match="re-created or truncated"):
            await holding.commit([message("after")], {b"k": b"2"})
    assert [b"before"] == [value for _, value in await place.committed("things")]


async def test_a_partition_that_lost_its_newest_records_is_refused_by_every_process_until_an_operator_accepts_it(
    place: Place,
) -> None:
    seen = SeenOffset()
    async with place.epoch(seen=seen):
        pass
    seen.last = 1000  # what a broker that lost them acknowledged before
    with pytest.raises(StateLost, match="up to offset 1000"):
        async with place.epoch(seen=seen):
            pass
    for other in (seen, None):
        with pytest.raises(KafkaMisconfigured, match="up to offset 1000"):
            async with place.epoch(seen=other):
                pass
    async with place.epoch(1):
        pass  # its neighbour goes on

    assert Accepted([], [0]) == await accept(place.settings)

    async with place.epoch(seen=seen):
        pass


async def test_a_restore_reads_from_a_log_that_has_the_barrier(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that is answered by somebody who has not got it does not pass for one that is at the end."""
    async with place.epoch() as holding:
        await holding.commit((), {b"k": b"v"})

    async def short(settings: KafkaSettings, partition: int, end: int, progress: Progress) -> dict[bytes, bytes]:
        return await restore.restore(settings, partition, end - 1, progress)

    monkeypatch.setattr(epoch_module, "restore", short)
    with pytest.raises(ConnectionError, match="lacks the barrier"):
        async with place.epoch():
            pass


async def test_a_deleted_topic_is_refused_by_its_name(place: Place) -> None:
    async with place.epoch() as holding:
        await holding.commit([message("before")], {})
    async with admin(place.settings) as client:
        await client.delete_topics([place.settings.topic_prefix + "things"])
    async with place.epoch() as holding:
        with pytest.raises(KafkaMisconfigured) as refused:
            await holding.commit([message("after")], {})
    assert place.settings.topic_prefix + "things" == refused.value.topic


@pytest.mark.parametrize(("topic", "expected"), [("collector.state", None), ("things", "things")])
async def test_records_that_kafka_finds_wrongly_dated_are_a_matter_of_the_clock(
    place: Place, topic: str, expected: str | None
) -> None:
    """A broker that takes no record from the past stands in for a clock that is wrong."""
    prefix = place.settings.topic_prefix
    async with place.epoch() as holding:
        async with admin(place.settings) as client:
            strict = {"message.timestamp.before.max.ms": "0"}
            await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, prefix + topic, strict)])

        async def commit_until_brokers_heed_it() -> None:
            while True:
                await holding.commit([message("dated")], {b"k": b"1"})

        with pytest.raises(KafkaMisconfigured, match="this machine's clock") as refused:
            await commit_until_brokers_heed_it()
    assert (expected and prefix + expected) == refused.value.topic
    assert "set this machine's clock right" in refused.value.advice


async def test_a_state_topic_that_is_missing_is_refused_as_lost(place: Place) -> None:
    await place.delete(place.settings.state_topic)
    with pytest.raises(KafkaMisconfigured, match=r"collector\.state is missing: the state in it is lost") as refused:
        async with place.epoch():
            pass
    assert "collector state init" in refused.value.advice


async def test_a_state_topic_of_another_size_is_refused(place: Place) -> None:
    other = place.settings.model_copy(update={"state_partitions": 3})
    with pytest.raises(KafkaMisconfigured, match=r"has 2 partitions, and kafka\.state_partitions is 3"):
        async with epoch(0, other, place.telemetry, lambda: True):
            pass
