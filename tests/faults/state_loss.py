"""The state topic loses records: it is refused, and nothing is published, until an operator accepts the loss.

A recovery counts from the start of the replicas after that.
"""

import json
import os
import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from shutil import rmtree

import anyio
from msgspec import structs

from collector.commands.verdict import ReceivedEvents, judge
from collector.instants import SECOND, floor_second
from collector.kafka.creation import create
from collector.kafka.epoch import partition_of
from collector.kafka.settings import STATE_TOPIC, KafkaSettings
from collector.kafka.topics import admin, ensure_topics
from collector.model import Checkpoint, Window
from collector.simulator import seemetrix, vidicenter
from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.commands.harness import collector
from tests.faults.table import Row
from tests.faults.testbed import (
    MAX_WAIT_S,
    SESSION_TIMEOUT_S,
    Testbed,
    disordered,
    lacking_parts,
    now_ms,
    stop_when_final,
    until_true,
)
from tests.kafka.daemon import Received, until
from tests.kafka.scenario import ALL_TOPICS, Replica, verdict_reader

STATE_PARTITIONS = 4
"""As in the replicas' configuration."""
PARTITIONS = {
    SEEMETRIX: partition_of(f"seemetrix/{seemetrix.USER}", STATE_PARTITIONS),
    QUIVIDI: partition_of(f"quividi/{vidicenter.USERNAME}", STATE_PARTITIONS),
}
"""The state partition of each source's account."""
OBSERVED_S = SESSION_TIMEOUT_S + 2.0
"""How long a refusal is observed: longer than a rebalance, and than the first waits between two epochs."""
MAX_GAP_S = 4.0
"""From the deletion of the state topic to its creation."""

Damage = Callable[[Testbed, Sequence[str]], Awaitable[None]]
"""Removes state of these sources."""


async def topic_recreated(testbed: Testbed, times: int) -> Row:
    """The state topic is deleted and re-created while two replicas run; both sources are refused."""
    for _ in range(2):
        testbed.replica()
    losses: dict[str, list[Window]] = defaultdict(list)
    for _ in range(times):
        await _lose(testbed, [SEEMETRIX, QUIVIDI], _recreate, losses)
    return await _verdict(testbed, times, losses=losses)


async def partition_removed(testbed: Testbed, times: int) -> Row:
    """The only broker restarts without the log of a state partition; its source is refused, the other continues."""
    for _ in range(2):
        testbed.replica()
    losses: dict[str, list[Window]] = defaultdict(list)
    for _ in range(times):
        await _lose(testbed, [testbed.random.choice([SEEMETRIX, QUIVIDI])], _remove, losses)
    return await _verdict(testbed, times, losses=losses)


async def partition_cut(testbed: Testbed, times: int) -> Row:
    """The only broker restarts with the older half of a state partition, which still has its header.

    Only a process that has run the partition can detect that, so there is one replica. The operator accepts that the
    lost records are published again.
    """
    testbed.replica()
    accepted_ms = []
    for _ in range(times):
        source = testbed.random.choice([SEEMETRIX, QUIVIDI])
        await _damage_and_assert_refused(testbed, [source], _truncate)
        accepted_ms.append(now_ms())
        await _accept(testbed, {})
    return await _verdict(testbed, times, accepted_ms=accepted_ms)


async def _lose(testbed: Testbed, sources: Sequence[str], damage: Damage, losses: dict[str, list[Window]]) -> None:
    """Do the damage, and accept it so that nothing is published twice.

    Each source starts again after all records that it has published. Records that start before that, and were not final
    at the damage, may be missing: their window is added to `losses`.
    """
    finals = await _damage_and_assert_refused(testbed, sources, damage)
    for source in sources:
        losses[source].append(Window(finals[source], _start_after_published(testbed, source)))
    await _accept(testbed, {source: losses[source][-1].end for source in sources})


async def _damage_and_assert_refused(testbed: Testbed, sources: Sequence[str], damage: Damage) -> dict[str, datetime]:
    """Do the damage. The sources must be refused, also after a restart of all replicas; the others must continue.

    Returns `final` of each source before the damage. All replicas are stopped.
    """
    finals = {
        source: checkpoint.final
        for source, checkpoint in (await testbed.checkpoints_when_final(testbed.since + SECOND)).items()
        if checkpoint
    }
    await damage(testbed, sources)
    damaged_ms = now_ms()
    await _assert_stay_refused(testbed, sources)
    await _stop_replicas(testbed)
    _start_replicas(testbed)
    await _assert_stay_refused(testbed, sources)
    await _stop_replicas(testbed)
    await testbed.read_to_the_end()  # the caller, too, needs to know all that was published
    assert [] == _published(testbed, sources, damaged_ms), "a refused source has published messages"
    return finals


async def _assert_stay_refused(testbed: Testbed, sources: Sequence[str]) -> None:
    """Return when the sources have been refused for a while, and the others have published another event."""
    partitions = {PARTITIONS[source] for source in sources}
    are_refused = partial(_are_refused, testbed, partitions)
    while True:
        await until(are_refused, f"the state partitions {partitions} are refused", MAX_WAIT_S)
        rebalances, refused_ms = list(map(_rebalances, testbed.replicas)), now_ms()
        if await _holds(are_refused, OBSERVED_S):
            break
        assert rebalances != list(map(_rebalances, testbed.replicas)), "the same owner no longer refuses it"
    others = {SEEMETRIX, QUIVIDI} - set(sources)  # at most one
    await until_true(
        lambda: not others or _published(testbed, others, refused_ms) != [], "the other source publishes another event"
    )


async def _holds(condition: Callable[[], Awaitable[bool]], for_s: float) -> bool:
    """Whether the condition holds all the time."""
    with anyio.move_on_after(for_s):
        while await condition():  # noqa: ASYNC110 - other processes do not notify this one
            await anyio.sleep(0.2)
        return False
    return True


async def _are_refused(testbed: Testbed, partitions: Collection[int]) -> bool:
    """Whether the owner of each partition is not ready for that reason, and has logged advice.

    A replica that has not joined the group since its start may refuse the whole topic.
    """
    topic = testbed.prefix + STATE_TOPIC
    owned, logged = set[int](), set[int]()
    for replica in testbed.replicas:
        reason, has_joined = await _refusal(replica), bool(replica.log_lines("partitions_assigned"))
        own = _assigned(replica).intersection(partitions) if has_joined else set(partitions)
        if own and not (_named(reason, topic, own) if has_joined else topic in reason):
            return False
        owned |= own
        for line in replica.log_lines("kafka_refused"):
            if line["advice"]:
                logged |= _named(line["reason"], topic, partitions) if has_joined else own
    return set(partitions) == owned == logged


async def _refusal(replica: Replica) -> str:
    """Why the replica is not ready, if that is a refusal; otherwise empty."""
    ready_status, reason = await replica.get("/readyz")
    code, body = await replica.get("/api/status")
    return reason if ready_status == 503 and code == 200 and json.loads(body)["kafka"]["state"] == "refused" else ""


def _named(reason: str, topic: str, partitions: Collection[int]) -> set[int]:
    """The partitions that the reason names; none if it does not name the topic."""
    rest = reason.replace(topic, "")
    return {number for number in partitions if topic in reason and re.search(rf"\bpartitions?\b.*\b{number}\b", rest)}


def _assigned(replica: Replica) -> set[int]:
    """The state partitions that the group assigned to it last."""
    return {number for line in replica.log_lines("partitions_assigned")[-1:] for number in line["partitions"]}


def _rebalances(replica: Replica) -> int:
    """How often the group has assigned partitions to it. A new assignment may be equal to the former one."""
    return len(replica.log_lines("partitions_assigned"))


def _published(testbed: Testbed, sources: Collection[str], since_ms: int) -> list[Received]:
    """The received messages of these sources that were published after `since_ms`."""
    of_sources = [message for message in testbed.received if message.headers["ce_source"].rpartition("/")[2] in sources]
    return [message for message in of_sources if message.published_ms > since_ms]


def _start_after_published(testbed: Testbed, source: str) -> datetime:
    """The first whole second after the start of every record that the source published."""
    starts = [
        message.value["started_at"] for message in _published(testbed, [source], 0) if "record_id" in message.value
    ]
    return floor_second(max(map(datetime.fromisoformat, starts))) + SECOND


async def _stop_replicas(testbed: Testbed) -> None:
    for replica in testbed.replicas:
        await anyio.to_thread.run_sync(replica.stop)


def _start_replicas(testbed: Testbed) -> None:
    """Start each replica with a new log file; the previous one is renamed."""
    for replica in testbed.replicas:
        replica.log.rename(f"{replica.log}.until-{now_ms()}")
        replica.start()


async def _accept(testbed: Testbed, since: Mapping[str, datetime]) -> None:
    """Act as the operator while no replica runs: set `since` of the sources, and accept the state as it is."""
    for replica in testbed.replicas:
        config = replica.config.read_text("utf-8")
        for source, instant in since.items():
            since_key = re.compile(rf"(\[sources\.{source}\]\n.*?\nsince = )\S+", re.DOTALL)
            config, count = since_key.subn(rf"\g<1>{instant.isoformat()}", config, count=1)
            assert count == 1
        replica.config.write_text(config, "utf-8")
    done = await collector("state", "init", "--config", str(testbed.replicas[0].config))
    assert 0 == done.code, done.err
    _start_replicas(testbed)
    await testbed.wait_for_recovery()


async def _recreate(testbed: Testbed, _: Sequence[str]) -> None:
    names = {"bootstrap_servers": testbed.cluster.address, "topic_prefix": testbed.prefix}
    settings = KafkaSettings.model_validate({**names, "state_partitions": STATE_PARTITIONS, "partitions": 3})
    async with admin(settings) as client:
        deleted = await client.delete_topics([settings.state_topic])
        assert [(settings.state_topic, 0)] == list(deleted.topic_error_codes)
        await anyio.sleep(testbed.random.uniform(0, MAX_GAP_S))
        assert {} == (await create(client, settings, [settings.state_topic], ())).failures
    await ensure_topics(settings, [testbed.prefix + topic for topic in ALL_TOPICS])


async def _remove(testbed: Testbed, sources: Sequence[str]) -> None:
    (broker,) = testbed.cluster.nodes
    await anyio.to_thread.run_sync(broker.stop)
    for source in sources:
        rmtree(broker.log_dir(testbed.prefix + STATE_TOPIC, PARTITIONS[source]))
    await anyio.to_thread.run_sync(broker.start)


async def _truncate(testbed: Testbed, sources: Sequence[str]) -> None:
    (broker,) = testbed.cluster.nodes
    broker.kill()  # not cleanly, so that it recovers the log, and drops incomplete batches
    for source in sources:
        segment = max(broker.log_dir(testbed.prefix + STATE_TOPIC, PARTITIONS[source]).glob("*.log"))
        os.truncate(segment, segment.stat().st_size // 2)
    await anyio.to_thread.run_sync(broker.start)


async def _verdict(
    testbed: Testbed, times: int, losses: Mapping[str, Sequence[Window]] | None = None, accepted_ms: Sequence[int] = ()
) -> Row:
    """The messages compared with the simulated vendors, except for what an operator accepted.

    Records that start within `losses` may be missing. Messages that were published before a time in `accepted_ms` may
    be published once more after it, with the same ids.
    """
    checkpoints, messages = await stop_when_final(testbed)
    ids: dict[str, int] = {}
    kept = [
        each for each in messages if ids.setdefault(each.id, when := bisect(accepted_ms, each.published_ms)) == when
    ]
    missing, duplicated = _judged(testbed, checkpoints, verdict_reader(kept), losses or {})
    lost = missing + lacking_parts(kept)
    return Row("", times, len(messages), lost, duplicated, disordered(testbed, kept), testbed.slowest_s)


def _judged(
    testbed: Testbed,
    checkpoints: Mapping[str, Checkpoint | None],
    reader: ReceivedEvents,
    losses: Mapping[str, Sequence[Window]],
) -> tuple[int, int]:
    """How many records are missing outside the losses, and how many are duplicated."""
    missing = duplicated = 0
    for source, checkpoint in checkpoints.items():
        assert checkpoint is not None
        starts = [testbed.since, *(loss.end for loss in losses.get(source, ()))]
        ends = [*(loss.start for loss in losses.get(source, ())), checkpoint.final]
        for start, end in zip(starts, ends, strict=True):
            of_source = {source: structs.replace(checkpoint, final=end)}
            found = judge(testbed.vendors.vendors, start, of_source, reader)
            missing, duplicated = missing + found.missing, max(duplicated, found.duplicated)
    return missing, duplicated
