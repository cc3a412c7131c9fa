"""What `collector topics --as kafka` prints is sufficient on a real Kafka that allows nothing else."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import aiokafka
import anyio
import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from collector.kafka.settings import STATE_TOPIC
from collector.pipeline.message import DEAD_LETTER, PROGRESS
from tests.commands.harness import collector
from tests.kafka import strict_broker
from tests.kafka.broker import unavailable_reason
from tests.kafka.daemon import EVENTS, WAIT_S, Daemon, reading, separate, until
from tests.kafka.strict_broker import PASSWORDS, StrictBroker
from tests.kafka.tools import run_script
from tests.needs import need
from tests.vendor import Known, Vendor, serving, session

pytestmark = pytest.mark.anyio

SESSIONS = 5
NOW = datetime.now(UTC)
SINCE = f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
SHARED, TENANTS = "shared.", ("north.", "south_")
EVENT_TOPICS = [f"{tenant}{topic}" for tenant in TENANTS for topic in (*EVENTS, DEAD_LETTER.topic)]
SHARED_TOPICS = [SHARED + topic for topic in (STATE_TOPIC, PROGRESS.topic)]
GROUP = "audience"
COMMANDS = (
    ("state", "show"),
    ("pause", "mall0", "--reason", "so that the backfill is not complete when it is cancelled"),
    ("backfill", "mall0", "sessions", "--from", f"{NOW - timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}"),
    ("backfill", "mall0", "sessions", "--cancel"),
    ("resume", "mall0"),
    ("state", "rewind", "mall1", "sessions", "--to", SINCE, "--yes"),
    ("dead-letters", "replay", "--all", "--yes"),
    ("check",),
)
"""They need no more rights than the daemon. There are no dead letters yet."""
ENVIRONMENT = {
    "COLLECTOR__KAFKA__CREATE_TOPICS": "false",
    "COLLECTOR__KAFKA__GROUP": GROUP,
    "COLLECTOR__KAFKA__SASL__MECHANISM": "PLAIN",
    "COLLECTOR__KAFKA__SASL__USERNAME": "collector",
    "COLLECTOR__KAFKA__SASL__PASSWORD": PASSWORDS["collector"],
}


async def test_two_tenants_are_published_with_the_printed_topics_and_rights_only(tmp_path: Path) -> None:
    need("KAFKA", unavailable_reason())
    random = Random(1)
    known = [Known(session(NOW - timedelta(seconds=60 + n), random, n), NOW) for n in range(SESSIONS)]
    with strict_broker.running(tmp_path / "broker") as broker:
        async with serving(Vendor(known)) as seemetrix, reading(broker.address, EVENT_TOPICS) as reader:
            daemon = Daemon(tmp_path, broker.sasl_address, SHARED, seemetrix, since=SINCE)
            separate(daemon.config, TENANTS)
            command = partial(collector, env=ENVIRONMENT)
            script = await command("topics", "--as", "kafka", "--config", str(daemon.config))
            assert 0 == script.code, script.err
            await anyio.to_thread.run_sync(partial(run_script, script.out, broker, tmp_path, group=GROUP))
            assert {*EVENT_TOPICS, *SHARED_TOPICS} == await anyio.to_thread.run_sync(topics, broker)

            checked = await command("check", "--config", str(daemon.config))
            assert 0 == checked.code, checked.out
            assert {"ok"} == {line.split()[0] for line in checked.out.splitlines()}, checked.out

            async def all_published() -> bool:
                received = Counter(each.topic for each in await reader.poll())
                return all(SESSIONS == received[f"{tenant}seemetrix.sessions"] for tenant in TENANTS)

            try:
                daemon.start(**ENVIRONMENT)
                await until(all_published, "every session is published to both tenants")
                assert (200, "ready\n") == await daemon.get("/readyz")
                for arguments in COMMANDS:
                    done = await command(*arguments, "--config", str(daemon.config))
                    assert 0 == done.code, (arguments, done.err)
                await assert_dead_letters_need_to_be_read(broker, daemon.config)
                daemon.stop()
            finally:
                daemon.close()


async def assert_dead_letters_need_to_be_read(broker: StrictBroker, config: Path) -> None:
    """The command says which topic it may not read; with the rights of a consumer, it reads them."""
    listing = partial(collector, "dead-letters", "list", "--config", str(config), env=ENVIRONMENT)
    topic = TENANTS[0] + DEAD_LETTER.topic
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=broker.address) as producer:
        await producer.send_and_wait(topic, b"by another program")
    refused = await listing()
    assert 1 == refused.code, refused
    assert f"no permission to Read the topic {topic}: allow collector to Read" in refused.err.replace("\n", " ")

    target = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:collector", "*")
    broker.allow([AclBinding(*target, AclOperation.READ, AclPermissionType.ALLOW)])
    listed = await listing()
    assert 0 == listed.code, listed
    assert "1 of the messages" in listed.err


def topics(broker: StrictBroker) -> set[str]:
    """The topics, without those of Kafka itself."""
    found = AdminClient({"bootstrap.servers": broker.address}).list_topics(timeout=WAIT_S).topics
    return {name for name in found if not name.startswith("__")}
