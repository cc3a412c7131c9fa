"""An unavailable Kafka is reported within seconds, with the reason that `check` gives, in one log line."""

import json
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import anyio
import pytest

from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin
from tests.kafka.broker import Broker, unavailable_reason
from tests.kafka.daemon import EVENTS, Daemon, reading, until
from tests.needs import need
from tests.vendor import Known, Vendor, serving, session

pytestmark = pytest.mark.anyio

DETECTION_S = 20
"""For two heartbeats of a session of three seconds and an attempt to connect, on a busy machine."""
OUTAGE = {"kafka_unavailable", "kafka_ready", "group_coordinator_away", "group_coordinator_back", "transaction_aborted"}


async def test_an_idle_stream_reports_within_seconds_that_kafka_is_unavailable_and_available_again(
    prefix: str, tmp_path: Path
) -> None:
    """The stream does not poll, so it does not commit: it alone would notice after two minutes at the earliest."""
    need("KAFKA", unavailable_reason())
    broker, vendor = Broker(tmp_path / "kafka"), Vendor([])
    since = datetime.now(UTC)
    try:
        await anyio.to_thread.run_sync(broker.start)
        async with serving(vendor):
            daemon = Daemon(
                tmp_path,
                broker.address,
                prefix,
                vendor,
                interval='"1h"',
                allowed_lateness='"3h"',
                sweep_every='"2h"',
                since=f"{since:%Y-%m-%dT%H:%M:%SZ}",
            )

            async def is_live() -> bool:
                return (await daemon.stream()).get("state") == "live" and await daemon.is_ready()

            async def is_away() -> bool:
                code, reason = await daemon.get("/readyz")
                return code == 503 and all(fact in reason for fact in (broker.address, "Connection refused"))

            async def is_shown() -> bool:
                """Whether the metric and the status, which are rendered once a second, show it, too."""
                is_ready, row = await daemon.metric("collector_kafka_ready"), await daemon.stream()
                return is_ready == 0 and row["state"] == "backing_off"

            async def is_shown_as_ready() -> bool:
                return await daemon.metric("collector_kafka_ready") == 1

            try:
                daemon.start()
                await until(is_live, "the stream is live")
                await until(is_shown_as_ready, "the metric shows it")
                before = len(daemon.log_lines())

                broker.kill()
                await until(is_away, "not ready, with the reason", DETECTION_S)

                await until(is_shown, "the metric and the status show it")
                row = await daemon.stream()
                assert broker.address in row["last_error"]["error"]
                assert "kafka.bootstrap_servers" in row["last_error"]["advice"]
                status = json.loads((await daemon.get("/api/status"))[1])
                assert ("away", False) == (status["kafka"]["state"], status["ready"])

                await anyio.to_thread.run_sync(broker.start)
                await until(is_live, "the stream is live again, and the replica ready")
                await until(is_shown_as_ready, "the metric shows it")
                levels = ("info", "warning", "error")
                events = [line["event"] for line in daemon.log_lines()[before:] if line["level"] in levels]
                assert ["kafka_unavailable", "kafka_ready"] == [event for event in events if event in OUTAGE]
            finally:
                daemon.close()
    finally:
        broker.kill()


async def test_a_timeout_beyond_the_brokers_limits_is_reported_with_its_key(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    vendor = Vendor([Known(session(datetime.now(UTC), Random(1), 1), datetime.now(UTC))])
    async with serving(vendor), reading(kafka, [prefix + EVENTS[0]]):
        for key, value, limit in (
            ("transaction_timeout", '"2000s"', "transaction.max.timeout.ms"),
            ("session_timeout", '"2h"', "group.max.session.timeout.ms"),
        ):
            daemon = Daemon(tmp_path, kafka, prefix, vendor, **{key: value})

            async def is_refused(key: str = key, limit: str = limit, daemon: Daemon = daemon) -> bool:
                code, reason = await daemon.get("/readyz")
                return code == 503 and f"kafka.{key} = " in reason and limit in reason

            try:
                daemon.start()
                await until(is_refused, f"not ready, naming {key}")
                daemon.stop()
                refused = [line for line in daemon.log_lines() if line["event"] == "kafka_refused"]
                assert 1 == len(refused)
                assert key in refused[0]["advice"]
            finally:
                daemon.close()


async def test_a_deleted_state_topic_is_reported_also_after_the_group_has_no_assignment(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    """Without partitions to assign, the replica must not appear to be a standby."""
    now = datetime.now(UTC)
    vendor = Vendor([Known(session(now, Random(1), 1), now)])
    settings = KafkaSettings.model_validate({"bootstrap_servers": kafka, "topic_prefix": prefix})
    async with serving(vendor):
        daemon = Daemon(tmp_path, kafka, prefix, vendor)

        async def is_live() -> bool:
            return (await daemon.stream()).get("state") == "live"

        async def has_no_assignment() -> bool:
            assigned = [line["partitions"] for line in daemon.log_lines() if line["event"] == "partitions_assigned"]
            return not assigned[-1]

        async def is_refused() -> bool:
            code, reason = await daemon.get("/readyz")
            return code == 503 and settings.state_topic in reason and "missing" in reason

        try:
            daemon.start()
            await until(is_live, "the stream is live")
            async with admin(settings) as client:
                await client.delete_topics([settings.state_topic])
            vendor.known.append(Known(session(datetime.now(UTC), Random(2), 2), now))
            await until(is_refused, "the owner of the partition reports it")
            await until(has_no_assignment, "the group assigns no partition")
            await until(is_refused, "the member without partitions reports it")
        finally:
            daemon.close()
