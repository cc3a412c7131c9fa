"""The state topic loses what it held: it is refused, and nothing is published twice, until an operator accepts that."""

import json
import os
import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from shutil import rmtree
from typing import Any

import anyio
from msgspec import structs

from collector.commands.verdict import QUIVIDI, SEEMETRIX, Reader, judge
from collector.instants import SECOND, floor_second
from collector.kafka.epoch import partition_of
from collector.kafka.settings import STATE_TOPIC, KafkaSettings
from collector.kafka.topics import admin, create, ensure
from collector.model import Checkpoint, Window
from collector.simulator import seemetrix, vidicenter
from tests.commands.harness import collector
from tests.faults.table import Row
from tests.faults.testbed import (
    MAX_WAIT_S,
    SESSION_TIMEOUT_S,
    Testbed,
    disordered,
    ended,
    lacking_parts,
    now_ms,
    until_true,
)
from tests.kafka.daemon import Received, until
from tests.kafka.scenario import ALL_TOPICS, Replica, verdict_reader

STATE_PARTITIONS = 4
"""As replicas have them."""
PARTITIONS = {
    SEEMETRIX: partition_of(f"seemetrix/{seemetrix.USER}", STATE_PARTITIONS),
    QUIVIDI: partition_of(f"quividi/{vidicenter.USERNAME}", STATE_PARTITIONS),
}
"""Of the state topic, where each source's account is."""
STAYS_S = SESSION_TIMEOUT_S + 2.0
"""How long a refusal is watched: longer than a rebalance takes, and than the first waits between two epochs."""
MAX_GAP_S = 4.0
"""From the deletion of the state topic to its creation."""

Damage = Callable[[Testbed, Sequence[str]], Awaitable[None]]
"""Takes state from these sources."""


async def topic_recreated(testbed: Testbed, times: int) -> Row:
    """The state topic is deleted, and created again, while two replicas run; both sources are refused.

    That lasts until an operator acts: a recovery counts from the start of the replicas after that.
    """
    for _ in range(2):
        testbed.replica()
    losses: dict[str, list[Window]] = defaultdict(list)
    for _ in range(times):
        await _lost(testbed, [SEEMETRIX, QUIVIDI], _recreated, losses)
    return await _verdict(testbed, times, losses=losses)


async def partition_removed(testbed: Testbed, times: int) -> Row:
    """The only broker comes back without the log of a state partition; that source is refused, the other goes on.

    That lasts until an operator acts: a recovery counts from the start of the replicas after that.
    """
    for _ in range(2):
        testbed.replica()
    losses: dict[str, list[Window]] = defaultdict(list)
    for _ in range(times):
        await _lost(testbed, [testbed.random.choice([SEEMETRIX, QUIVIDI])], _removed, losses)
    return await _verdict(testbed, times, losses=losses)


async def partition_cut(testbed: Testbed, times: int) -> Row:
    """The only broker comes back with the older half of a state partition, whose header is there.

    Who runs it alone can tell; so there is one replica. That lasts until an operator acts, who accepts that what the
    partition forgot comes once more: a recovery counts from the start of the replica after that.
    """
    testbed.replica()
    accepted_ms = []
    for _ in range(times):
        source = testbed.random.choice([SEEMETRIX, QUIVIDI])
        await _refused_after(testbed, [source], _cut)
        accepted_ms.append(now_ms())
        await _accepted(testbed, {})
    return await _verdict(testbed, times, accepted_ms=accepted_ms)


async def _lost(testbed: Testbed, sources: Sequence[str], damage: Damage, losses: dict[str, list[Window]]) -> None:
    """The damage is done, and accepted in the way that publishes nothing twice.

    Each source begins anew after all that it published. What had begun before that, and was not final when the damage
    was done, may be missing: it is added to the losses.
    """
    finals = await _refused_after(testbed, sources, damage)
    for source in sources:
        losses[source].append(Window(finals[source], _after_all(testbed, source)))
    await _accepted(testbed, {source: losses[source][-1].end for source in sources})


async def _refused_after(testbed: Testbed, sources: Sequence[str], damage: Damage) -> dict[str, datetime]:
    """The damage is done; the sources are refused, also after a restart of all replicas, and the others go on.

    Returns how far the sources were final before that. No replica runs any more.
    """
    finals = {
        source: checkpoint.final
        for source, checkpoint in (await testbed.final_since(testbed.since + SECOND)).items()
        if checkpoint
    }
    await damage(testbed, sources)
    damaged_ms = now_ms()
    await _stay_refused(testbed, sources)
    await _ended(testbed)
    _started(testbed)
    await _stay_refused(testbed, sources)
    await _ended(testbed)
    assert [] == _published(testbed, sources, damaged_ms), "published by a source that is refused"
    return finals


async def _stay_refused(testbed: Testbed, sources: Sequence[str]) -> None:
    """Return when the sources have been refused for a while, and the others have published something more."""
    partitions = {PARTITIONS[source] for source in sources}
    are_refused = partial(_are_refused, testbed, partitions)
    while True:
        await until(are_refused, f"the state partitions {partitions} are refused", MAX_WAIT_S)
        assigned, refused_ms = list(map(_assigned, testbed.replicas)), now_ms()
        if await _holds(are_refused, STAYS_S):
            break
        assert assigned != list(map(_assigned, testbed.replicas)), "the same owner does not refuse it any more"
    others = {SEEMETRIX, QUIVIDI} - set(sources)  # at most one
    await until_true(lambda: not others or _published(testbed, others, refused_ms) != [], "the other source goes on")


async def _holds(condition: Callable[[], Awaitable[bool]], for_s: float) -> bool:
    """Whether it does, whenever it is looked at."""
    with anyio.move_on_after(for_s):
        while await condition():  # noqa: ASYNC110 - other processes do not notify this one
            await anyio.sleep(0.2)
        return False
    return True


async def _are_refused(testbed: Testbed, partitions: Collection[int]) -> bool:
    """Whether each partition's owner is not ready for that reason, and has logged what to do.

    A replica that has not joined the group since it started may refuse the topic as a whole.
    """
    topic = testbed.prefix + STATE_TOPIC
    owned, logged = set[int](), set[int]()
    for replica in testbed.replicas:
        reason, has_joined = await _refusal(replica), bool(_lines(replica, "partitions_assigned"))
        own = _assigned(replica).intersection(partitions) if has_joined else set(partitions)
        if own and not (_named(reason, topic, own) if has_joined else topic in reason):
            return False
        owned |= own
        for line in _lines(replica, "kafka_refused"):
            if line["advice"]:
                logged |= _named(line["reason"], topic, partitions) if has_joined else own
    return set(partitions) == owned == logged


async def _refusal(replica: Replica) -> str:
    """Why it is not ready; empty when that is not a refusal."""
    ready, reason = await replica.get("/readyz")
    code, body = await replica.get("/api/status")
    return reason if ready == 503 and code == 200 and json.loads(body)["kafka"]["state"] == "refused" else ""


def _named(reason: str, topic: str, partitions: Collection[int]) -> set[int]:
    """Those of the partitions that the reason names; none when it does not name the topic."""
    rest = reason.replace(topic, "")
    return {number for number in partitions if topic in reason and re.search(rf"\bpartitions?\b.*\b{number}\b", rest)}


def _assigned(replica: Replica) -> set[int]:
    """The state partitions that the group gave to it last."""
    return {number for line in _lines(replica, "partitions_assigned")[-1:] for number in line["partitions"]}


def _lines(replica: Replica, event: str) -> list[dict[str, Any]]:
    """The log's lines of this event, since it was started."""
    lines = replica.log.read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines if f'"event":"{event}"' in line]


def _published(testbed: Testbed, sources: Collection[str], since_ms: int) -> list[Received]:
    """What the reader saw of these sources that was published after the moment."""
    of = [message for message in testbed.seen if message.headers["ce_source"].rpartition("/")[2] in sources]
    return [message for message in of if message.published_ms > since_ms]


def _after_all(testbed: Testbed, source: str) -> datetime:
    """The first whole second after the begin of every record that the source published."""
    starts = [message.value["start"] for message in _published(testbed, [source], 0) if "record_id" in message.value]
    return floor_second(max(map(datetime.fromisoformat, starts))) + SECOND


async def _ended(testbed: Testbed) -> None:
    for replica in testbed.replicas:
        await anyio.to_thread.run_sync(replica.stop)


def _started(testbed: Testbed) -> None:
    """Each with a log of its own: the one before is kept beside it."""
    for replica in testbed.replicas:
        replica.log.rename(f"{replica.log}.until-{now_ms()}")
        replica.start()


async def _accepted(testbed: Testbed, since: Mapping[str, datetime]) -> None:
    """The operator's part, while no replica runs: where the sources begin, and that the state is what it is."""
    for replica in testbed.replicas:
        written = replica.config.read_text("utf-8")
        for source, instant in since.items():
            begin = re.compile(rf"(\[sources\.{source}\]\n.*?\nsince = )\S+", re.DOTALL)
            written, count = begin.subn(rf"\g<1>{instant.isoformat()}", written, count=1)
            assert count == 1
        replica.config.write_text(written, "utf-8")
    done = await collector("state", "init", "--config", str(testbed.replicas[0].config))
    assert 0 == done.code, done.err
    _started(testbed)
    await testbed.wait_for_recovery()


async def _recreated(testbed: Testbed, _: Sequence[str]) -> None:
    settings = KafkaSettings.model_validate(
        {
            "bootstrap_servers": testbed.cluster.address,
            "topic_prefix": testbed.prefix,
            "state_partitions": STATE_PARTITIONS,
            "partitions": 3,
        }
    )
    async with admin(settings) as client:
        deleted = await client.delete_topics([settings.state_topic])
        assert [(settings.state_topic, 0)] == list(deleted.topic_error_codes)
        await anyio.sleep(testbed.random.uniform(0, MAX_GAP_S))
        assert {} == await create(client, settings, [settings.state_topic], ())
    await ensure(settings, ALL_TOPICS)


async def _removed(testbed: Testbed, sources: Sequence[str]) -> None:
    (broker,) = testbed.cluster.nodes
    await anyio.to_thread.run_sync(broker.stop)
    for source in sources:
        rmtree(broker.folder(testbed.prefix + STATE_TOPIC, PARTITIONS[source]))
    await anyio.to_thread.run_sync(broker.start)


async def _cut(testbed: Testbed, sources: Sequence[str]) -> None:
    (broker,) = testbed.cluster.nodes
    broker.kill()  # not cleanly: it looks at what is left of the log, and drops what is not whole
    for source in sources:
        segment = max(broker.folder(testbed.prefix + STATE_TOPIC, PARTITIONS[source]).glob("*.log"))
        os.truncate(segment, segment.stat().st_size // 2)
    await anyio.to_thread.run_sync(broker.start)


async def _verdict(
    testbed: Testbed, times: int, losses: Mapping[str, Sequence[Window]] | None = None, accepted_ms: Sequence[int] = ()
) -> Row:
    """Compared with the truth, but for what an operator accepted.

    What a source published may lack what began in its losses. What was published before an acceptance may be published
    once more after it, with the same ids.
    """
    checkpoints, messages = await ended(testbed)
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
    reader: Reader,
    losses: Mapping[str, Sequence[Window]],
) -> tuple[int, int]:
    """How many records are missing outside the losses, and how many are duplicated."""
    missing = duplicated = 0
    for source, checkpoint in checkpoints.items():
        assert checkpoint is not None
        begins = [testbed.since, *(loss.end for loss in losses.get(source, ()))]
        ends = [*(loss.start for loss in losses.get(source, ())), checkpoint.final]
        for begin, end in zip(begins, ends, strict=True):
            of_source = {source: structs.replace(checkpoint, final=end)}
            found = judge(testbed.world, testbed.vendors.vidicenter, begin, of_source, reader)
            missing, duplicated = missing + found.missing, max(duplicated, found.duplicated)
    return missing, duplicated
