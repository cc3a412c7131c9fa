"""The collector works with each protocol of a guarded Kafka: TLS, client certificates, SASL."""

from pathlib import Path

import anyio
import pytest

from collector.kafka.claim import claim
from collector.kafka.epoch import epoch
from collector.kafka.restore import snapshot
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure_topics
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from tests.kafka.daemon import Daemon
from tests.kafka.secure_broker import SecureBroker
from tests.kafka.tls_material import TlsMaterial, kafka_line, run_check, valid_settings, with_kafka_tables
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio


async def test_state_is_committed_and_restored_with_each_protocol(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str
) -> None:
    async with anyio.create_task_group() as tasks:
        for number, (door, tables) in enumerate(valid_settings(tls_material)):
            keys = {"bootstrap_servers": secure_broker.listener(door), "topic_prefix": f"{prefix}{number}-", **tables}
            settings = KafkaSettings.model_validate({"state_partitions": 1, "partitions": 1, **keys})
            tasks.start_soon(_commit_and_restore, settings)


async def _commit_and_restore(settings: KafkaSettings) -> None:
    telemetry = KafkaTelemetry(Metrics(), ProcessStatus("", settings.group))
    value = settings.bootstrap_servers.encode()
    await ensure_topics(settings, [settings.topic_prefix + "things"])
    assert await claim(settings, [settings.topic_prefix + "things"], 0)

    async with epoch(0, settings, telemetry, lambda: True) as holding:
        await holding.commit((), {b"key": value})

    assert value == (await snapshot(settings, [0], lambda *_: None))[b"key"]


async def test_check_accepts_each_protocol(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    async with serving(Vendor([])) as vendor:
        for door, tables in valid_settings(tls_material):
            kafka = secure_broker.listener(door)
            daemon = with_kafka_tables(Daemon(tmp_path, kafka, prefix, vendor), tables)

            ended = await run_check(daemon.config)

            expected = f"ok     kafka: 1 broker at {kafka}, which verifies transactions"
            assert (0, expected) == (ended.exit_code, kafka_line(ended))
            assert 7 == ended.stdout.count("the first start creates it")
