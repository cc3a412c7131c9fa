"""The rights in docs/operations.md are sufficient on a real Kafka that allows nothing else."""

import json
import os
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import aiokafka
import anyio
import pytest
from aiokafka.errors import TopicAuthorizationFailedError
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from collector.config import Settings, load
from collector.kafka.settings import STATE_TOPIC, KafkaSettings
from collector.kafka.topics import ensure_topics
from collector.pipeline.message import DEAD_LETTER, PROGRESS
from tests.commands.harness import collector
from tests.docs.pages import DOCS, fenced
from tests.kafka import strict_broker
from tests.kafka.broker import unavailable_reason
from tests.kafka.daemon import EVENTS, WAIT_S, Daemon, reading, until
from tests.kafka.strict_broker import PASSWORDS, StrictBroker, sasl_options
from tests.needs import need
from tests.vendor import Known, Vendor, serving, session

pytestmark = pytest.mark.anyio

SCRIPTS = [each for each in fenced((DOCS / "operations.md").read_text("utf-8"), "sh") if "kafka-acls.sh" in each]
(TO_READ,) = (each for each in SCRIPTS if "User:reader" in each)
(TO_CREATE,) = (each for each in SCRIPTS if "--operation Create" in each)
(ALWAYS,) = (each for each in SCRIPTS if each not in (TO_READ, TO_CREATE))
SESSIONS = 5
NOW = datetime.now(UTC)
_ACLS = f"""#!{sys.executable}
import json, sys
print(json.dumps(sys.argv[1:]))
"""
"""A replacement for kafka-acls.sh that prints its arguments."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictBroker]:
    need("KAFKA", unavailable_reason())
    with strict_broker.running(tmp_path_factory.mktemp("guarded")) as node:
        yield node


def options() -> ArgumentParser:
    """Return a parser for the options of kafka-acls.sh that the page uses."""
    parser = ArgumentParser(allow_abbrev=False)
    for name in ("--bootstrap-server", "--allow-principal"):
        parser.add_argument(name, required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--resource-pattern-type", choices=("literal", "prefixed"), default="literal")
    for name in ("--operation", "--topic", "--group", "--transactional-id"):
        parser.add_argument(name, action="append", default=[])
    return parser


def acl_commands(script: str, folder: Path, **chosen: str) -> list[Namespace]:
    """Return the options of each call of kafka-acls.sh in a script, with names chosen in its first line."""
    for name, value in chosen.items():
        script, count = re.subn(rf"\b{name}=\S*", f"{name}={value}", script, count=1)
        assert 1 == count
    command = folder / "kafka-acls.sh"
    command.write_text(_ACLS, "utf-8")
    command.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-euc", script], check=True, capture_output=True, env={"PATH": path})
    return [options().parse_args(json.loads(line)) for line in done.stdout.splitlines()]


def bindings_of(command: Namespace) -> Iterator[AclBinding]:
    """Yield the ACLs that a call of kafka-acls.sh adds."""
    pattern = ResourcePatternType[command.resource_pattern_type.upper()]
    resources = {ResourceType.TOPIC: command.topic, ResourceType.GROUP: command.group}
    resources[ResourceType.TRANSACTIONAL_ID] = command.transactional_id
    for kind, names in resources.items():
        for name in names:
            for operation in command.operation:
                acl_operation = AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()]
                yield AclBinding(
                    kind, name, pattern, command.allow_principal, "*", acl_operation, AclPermissionType.ALLOW
                )


def allow(broker: StrictBroker, script: str, folder: Path, **chosen: str) -> None:
    """Add the ACLs of a script, and return when the broker applies them."""
    for each in acl_commands(script, folder, kafka=broker.address, **chosen):
        broker.allow(list(bindings_of(each)))


@pytest.mark.parametrize("creates", [True, False], ids=["topics are created", "topics exist"])
async def test_the_rights_of_the_collector_are_sufficient(
    broker: StrictBroker, prefix: str, tmp_path: Path, creates: bool
) -> None:
    names = {"group": f"{prefix}collector", "prefix": prefix}
    environment = credentials(creates, names["group"])
    async with serving(vendor()) as seemetrix, reading(broker.address, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(
            tmp_path, broker.sasl_address, prefix, seemetrix, since=f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
        )
        check = partial(collector, "check", "--config", str(daemon.config), env=environment)

        async def all_published() -> bool:
            return SESSIONS == sum(each.topic.endswith("sessions") for each in await reader.poll())

        refused = await check()
        assert 1 == refused.code
        refused_topics = set(re.findall(r"^failed +topic ([^\s:]+)", refused.out, re.MULTILINE))
        assert {
            prefix + topic for topic in (*EVENTS, STATE_TOPIC, DEAD_LETTER.topic, PROGRESS.topic)
        } == refused_topics, refused.out
        for script in (ALWAYS, TO_CREATE) if creates else (ALWAYS,):
            granting = partial(allow, broker, script, tmp_path, user="User:collector", **names)
            await anyio.to_thread.run_sync(granting)
        if not creates:
            await ensure_topics(*manual_topics(load(daemon.config), broker.address))
        checked = await check()
        assert 0 == checked.code, checked.out
        has_state_topic = prefix + STATE_TOPIC in await anyio.to_thread.run_sync(topics, broker)
        assert creates != has_state_topic, "check creates no topic"
        try:
            daemon.start(**environment)
            await until(all_published, "every session is published")
            assert (200, "ready\n") == await daemon.get("/readyz")
            daemon.stop()
        finally:
            daemon.close()


async def test_the_rights_of_a_consumer_are_sufficient(broker: StrictBroker, prefix: str, tmp_path: Path) -> None:
    topic, group = f"{prefix}seemetrix.sessions", f"{prefix}readers"
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker.address)
    settings = KafkaSettings.model_validate({"bootstrap_servers": broker.address, "topic_prefix": prefix})
    await ensure_topics(settings, {topic})
    async with producer:
        await producer.send_and_wait(topic, b"{}")
    with pytest.raises(TopicAuthorizationFailedError):
        await read(broker, group, topic)

    await anyio.to_thread.run_sync(
        partial(allow, broker, TO_READ, tmp_path, user="User:reader", group=group, prefix=prefix)
    )
    assert 1 == await read(broker, group, topic)


def topics(broker: StrictBroker) -> set[str]:
    return set(AdminClient({"bootstrap.servers": broker.address}).list_topics(timeout=WAIT_S).topics)


def vendor() -> Vendor:
    """A Seemetrix with `SESSIONS` sessions of the last minutes."""
    random = Random(1)
    return Vendor([Known(session(NOW - timedelta(seconds=60 + n), random, n), NOW) for n in range(SESSIONS)])


def credentials(creates: bool, group: str) -> dict[str, str]:
    """Return the environment that configures the collector's user, and whether it creates topics."""
    keys = {
        "CREATE_TOPICS": str(creates).lower(),
        "GROUP": group,
        "SASL__MECHANISM": "PLAIN",
        "SASL__USERNAME": "collector",
        "SASL__PASSWORD": PASSWORDS["collector"],
    }
    return {f"COLLECTOR__KAFKA__{name}": value for name, value in keys.items()}


def manual_topics(settings: Settings, kafka: str) -> tuple[KafkaSettings, Collection[str], Collection[str]]:
    """Return the arguments of `ensure_topics` with which an administrator creates the topics."""
    chosen = settings.kafka.model_copy(update={"bootstrap_servers": kafka, "create_topics": True})
    return chosen, settings.topics(), settings.compacted_topics()


async def read(broker: StrictBroker, group: str, topic: str) -> int:
    """Read messages with a consumer group, commit the offsets, and return the number of messages."""
    consumer = aiokafka.AIOKafkaConsumer(
        topic,
        bootstrap_servers=broker.sasl_address,
        group_id=group,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        **sasl_options("reader"),
    )
    try:
        await consumer.start()
        with anyio.fail_after(WAIT_S):
            while not (found := await consumer.getmany(timeout_ms=200)):
                pass
        await consumer.commit()
        return sum(map(len, found.values()))
    finally:
        await consumer.stop()
