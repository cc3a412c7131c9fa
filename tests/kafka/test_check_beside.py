"""`collector check` disturbs no replica, also when it is killed in the middle of the transaction that it tries."""

import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from time import monotonic

import anyio
import msgspec
import pytest

from collector.kafka.claim import claim
from collector.kafka.diagnosis.trial import TRIAL_S, try_transaction
from collector.kafka.epoch import Epoch, epoch
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.kafka.daemon import EVENTS, Daemon, contents, reading, until
from tests.kafka.tls_material import run_check
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

CHECKS = 4
HARMFUL = {"epoch_fenced", "group_rejoining", "transaction_aborted", "unexpected"}
KILLED_TRIAL = """
import os, signal, sys
import anyio, msgspec
from collector.kafka.diagnosis.trial import try_transaction
from collector.kafka.producer import Producer
from collector.kafka.settings import KafkaSettings

async def die(self):
    os.kill(os.getpid(), signal.SIGKILL)

Producer.abort_transaction = die
settings = KafkaSettings.model_validate(msgspec.json.decode(sys.argv[1]))
anyio.run(lambda: try_transaction(settings, has_topic=True))
"""
"""A program that is killed after the trial's record was acknowledged, and before it is aborted."""
CLEANUP_S = 1.0
"""How often the tests' brokers look for transactions that have timed out; ten seconds by default."""


async def test_a_replica_under_load_is_not_disturbed(kafka: str, prefix: str, tmp_path: Path) -> None:
    vendor, random = Vendor([]), Random(16)

    def add() -> None:
        now = datetime.now(UTC)
        vendor.known.append(Known(session(now - timedelta(seconds=5), random, len(vendor.known)), now))

    async def load() -> None:
        while True:
            add()
            await anyio.sleep(0.1)

    topics = [prefix + topic for topic in EVENTS]
    since = f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    async with serving(vendor), reading(kafka, topics) as reader:
        daemon = Daemon(tmp_path, kafka, prefix, vendor, since=since, allowed_lateness='"10m"')

        async def is_published() -> bool:
            expected = Counter(event for each in vendor.known for event in expected_events(each.session))
            return expected == contents(await reader.poll())

        try:
            daemon.start()
            add()
            await until(is_published, "the daemon runs")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(load)
                checked = [await run_check(daemon.config) for _ in range(CHECKS)]
                tasks.cancel_scope.cancel()
            await until(is_published, "everything is published, and nothing twice")
            daemon.stop()
        finally:
            daemon.close()
    assert [0] * CHECKS == [each.exit_code for each in checked], checked[-1].stdout
    assert "a record was sent and aborted" in checked[-1].stdout
    logged = Counter(line["event"] for line in daemon.log_lines())
    assert {} == {event: count for event, count in logged.items() if event in HARMFUL}


@pytest.mark.parametrize("is_tried_again", [False, True], ids=["it stays killed", "it is repeated"])
async def test_a_check_that_is_killed_in_its_transaction_delays_a_restore_only_until_that_times_out(
    kafka: str, prefix: str, is_tried_again: bool
) -> None:
    keys = {"bootstrap_servers": kafka, "topic_prefix": prefix, "group": f"{prefix}group", "state_partitions": 1}
    chosen = KafkaSettings.model_validate(keys | {"transaction_timeout": "6s"})
    await ensure_topics(chosen, [f"{prefix}things"])
    assert await claim(chosen, {f"{prefix}things"}, 0)
    async with running_epoch(chosen) as before:
        await before.commit((), {b"k": b"v"})

        await anyio.to_thread.run_sync(be_killed, {**keys, "transaction_timeout": "6s"})

        await before.commit((), {b"k": b"v2"})  # its transactional id is another one
    if is_tried_again:
        assert "aborted" in await try_transaction(chosen, has_topic=True)
    started = monotonic()
    async with running_epoch(chosen) as after:
        took_s = monotonic() - started
        assert b"v2" == after.pairs[b"k"]
    assert b"#check" not in after.pairs
    assert took_s < (3 if is_tried_again else min(TRIAL_S, 6) + CLEANUP_S + 3)


def running_epoch(chosen: KafkaSettings) -> AbstractAsyncContextManager[Epoch]:
    return epoch(0, chosen, KafkaTelemetry(Metrics(), ProcessStatus("0", "group")), lambda: True)


def be_killed(keys: Mapping[str, object]) -> None:
    command = [sys.executable, "-c", KILLED_TRIAL, msgspec.json.encode(keys).decode()]
    assert -9 == subprocess.run(command, check=False, timeout=30).returncode
