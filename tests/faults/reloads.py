"""The configuration changes, and older data is requested, while the vendors have new data and replicas are killed."""

import signal
from datetime import timedelta
from functools import partial
from http import HTTPStatus

from collector.instants import format_seconds
from collector.kafka.restore import snapshot
from collector.kafka.settings import KafkaSettings
from collector.pipeline.backfills import REQUESTS
from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.commands.harness import collector
from tests.faults.state_loss import STATE_PARTITIONS
from tests.faults.table import Row
from tests.faults.testbed import MAX_WAIT_S, Testbed, now_ms, verdict
from tests.kafka.daemon import Received, until
from tests.kafka.scenario import Replica

OLDER = timedelta(minutes=1)
"""What one backfill requests."""
STREAMS = {SEEMETRIX: "sessions", QUIVIDI: "viewers"}
SEPARATOR = f"\n[sources.{QUIVIDI}]"


async def reloaded(testbed: Testbed, times: int) -> int:
    """A source changes, is removed and comes back, in the files of all replicas. One of them is killed, by kill -9."""
    for _ in range(2):
        testbed.replica()
    whole = {replica: replica.config.read_text("utf-8") for replica in testbed.replicas}
    for number in range(times):
        await testbed.wait_for_all_sources()
        for change in (_with_longer_interval, _without_quividi, str):
            for replica, text in whole.items():
                replica.config.write_text(change(text), "utf-8")
                replica.send(signal.SIGHUP)
            if change is _with_longer_interval:
                await testbed.wait_for_event()
                killed = testbed.random.choice(testbed.replicas) if number % 2 else await testbed.owner()
                killed.kill()
                killed.start()
                await until(partial(_responds, killed), "the replica that was killed responds")
        # No recovery is measured: an export that a replaced stream has left keeps its place for up to half a minute.
        await testbed.wait_for_all_sources()
    return times


async def _responds(replica: Replica) -> bool:
    """Whether it has begun: a signal that arrives while Python starts ends the process, as any other."""
    return (await replica.get("/healthz"))[0] == HTTPStatus.OK


def _with_longer_interval(text: str) -> str:
    return text.replace('interval = "2s"', 'interval = "3s"')


def _with_pauses(text: str) -> str:
    """The configuration in which Quividi's live stream leaves time to the backfill: an export takes two seconds."""
    before, separator, quividi = text.partition(SEPARATOR)
    for key, value in (("interval", "2s"), ("sweep_every", "4s")):
        quividi = quividi.replace(f'{key} = "{value}"', f'{key} = "8s"')
    return before + separator + quividi


def _without_quividi(text: str) -> str:
    return text.partition(SEPARATOR)[0]


async def backfilled(testbed: Testbed, times: int) -> Row:
    """Both sources publish older and older data beside their live data. The owner of one is killed, by kill -9.

    The older data is published after newer data, and after its time was final: order and `final` are those of the rest.
    """
    for _ in range(2):
        replica = testbed.replica()
        replica.config.write_text(_with_pauses(replica.config.read_text("utf-8")), "utf-8")
    for replica in testbed.replicas:
        replica.kill()
        replica.start()
    await testbed.wait_for_all_sources()
    oldest = testbed.since
    for _ in range(times):
        oldest -= OLDER
        for source, stream in STREAMS.items():
            arguments = ("backfill", source, stream, "--from", format_seconds(oldest))
            done = await collector(*arguments, "--config", str(testbed.replicas[0].config))
            assert 0 == done.code, done.err
        killed = await testbed.owner(testbed.random.choice(list(STREAMS)))
        await testbed.wait_for_event()
        killed.kill()
        moment_ms = now_ms()
        killed.start()
        await testbed.wait_for_recovery(moment_ms)
        await until(partial(_have_completed, testbed), "both backfills are complete", MAX_WAIT_S)

    def newer(messages: list[Received]) -> list[Received]:
        live_since = format_seconds(testbed.since)
        return [each for each in messages if each.value.get("started_at", "9") >= live_since]

    return await verdict(testbed, "", times, since=oldest, in_time=newer)


async def _have_completed(testbed: Testbed) -> bool:
    """Whether the state has no request for a backfill any more.

    The logs do not tell: a replica may be killed between the commit that completes a backfill and the line about it.
    """
    settings = KafkaSettings(bootstrap_servers=testbed.cluster.reader_address, topic_prefix=testbed.prefix)
    pairs = await snapshot(settings, range(STATE_PARTITIONS), lambda *_: None)
    return not any(key.startswith(REQUESTS) for key in pairs)
