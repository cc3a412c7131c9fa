"""Every way into a guarded Kafka: over TLS or not, with a certificate, with a password."""

from pathlib import Path

import anyio
import pytest

from collector.kafka.claim import claim
from collector.kafka.epoch import epoch
from collector.kafka.restore import snapshot
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.kafka.daemon import Daemon
from tests.kafka.secure_broker import SecureBroker
from tests.kafka.tls_material import TlsMaterial, kafka_line, run_check, valid_settings, with_kafka_tables
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio


async def test_a_batch_is_committed_and_restored_through_every_way(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str
) -> None:
    async with anyio.create_task_group() as tasks:
        for number, (door, given) in enumerate(valid_settings(tls_material)):
            asked = {"bootstrap_servers": secure_broker.listener(door), "topic_prefix": f"{prefix}{number}-", **given}
            settings = KafkaSettings.model_validate({"state_partitions": 1, "partitions": 1, **asked})
            tasks.start_soon(_commits_and_restores, settings)


async def _commits_and_restores(settings: KafkaSettings) -> None:
    telemetry = KafkaTelemetry(Metrics(), ProcessStatus("", settings.group))
    way = settings.bootstrap_servers.encode()
    await ensure(settings, ["things"])
    assert await claim(settings, ["things"], 0)

    async with epoch(0, settings, telemetry, lambda: True) as holding:
        await holding.commit((), {b"way": way})

    assert way == (await snapshot(settings, [0], lambda *_: None))[b"way"]


async def test_check_lets_everybody_through_who_has_the_papers(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    async with serving(Vendor([])) as vendor:
        for door, given in valid_settings(tls_material):
            kafka = secure_broker.listener(door)
            daemon = with_kafka_tables(Daemon(tmp_path, kafka, prefix, vendor), given)

            ended = await run_check(daemon.config)

            expected = f"ok     kafka: 1 broker at {kafka}, Apache Kafka 3.6 or newer"
            assert (0, expected) == (ended.exit_code, kafka_line(ended))
            assert 6 == ended.stdout.count("the first start creates it")
