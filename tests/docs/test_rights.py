"""The rights in docs/operations.md are enough: a real Kafka allows these, and nothing else."""

import json
import os
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
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
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from collector.config import Settings, load
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import ensure
from tests.commands.harness import collector
from tests.docs.pages import DOCS, fenced
from tests.kafka import strict_broker
from tests.kafka.broker import unavailable_reason
from tests.kafka.daemon import EVENTS, WAIT_S, Daemon, reading, until
from tests.kafka.strict_broker import PASSWORDS, StrictBroker, sasl_options
from tests.needs import need
from tests.vendor import Known, Vendor, serving, session

pytestmark = pytest.mark.anyio

SCRIPTS = fenced((DOCS / "operations.md").read_text("utf-8"), "sh")
ALWAYS, TO_CREATE, TO_READ = (script for script in SCRIPTS if "kafka-acls.sh" in script)
SESSIONS = 5
NOW = datetime.now(UTC)
_ACLS = f"""#!{sys.executable}
import json, sys
print(json.dumps(sys.argv[1:]))
"""
"""In the place of Kafka's own command: what it is told."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictBroker]:
    need("KAFKA", unavailable_reason())
    with strict_broker.running(tmp_path_factory.mktemp("guarded")) as node:
        yield node


def options() -> ArgumentParser:
    """Those of kafka-acls.sh that the page uses."""
    parser = ArgumentParser(allow_abbrev=False)
    for name in ("--bootstrap-server", "--allow-principal"):
        parser.add_argument(name, required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--resource-pattern-type", choices=("literal", "prefixed"), default="literal")
    for name in ("--operation", "--topic", "--group", "--transactional-id"):
        parser.add_argument(name, action="append", default=[])
    return parser


def told(script: str, folder: Path, **chosen: str) -> list[Namespace]:
    """What the script tells kafka-acls.sh, with the names that are chosen in its first line."""
    for name, value in chosen.items():
        script, count = re.subn(rf"\b{name}=\S*", f"{name}={value}", script, count=1)
        assert 1 == count
    command = folder / "kafka-acls.sh"
    command.write_text(_ACLS, "utf-8")
    command.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-euc", script], check=True, capture_output=True, env={"PATH": path})
    return [options().parse_args(json.loads(line)) for line in done.stdout.splitlines()]


def rules(of: Namespace) -> Iterator[AclBinding]:
    pattern = ResourcePatternType[of.resource_pattern_type.upper()]
    places = {ResourceType.TOPIC: of.topic, ResourceType.GROUP: of.group}
    places[ResourceType.TRANSACTIONAL_ID] = of.transactional_id
    for kind, names in places.items():
        for name in names:
            for operation in of.operation:
                how = AclOperation[re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).upper()]
                yield AclBinding(kind, name, pattern, of.allow_principal, "*", how, AclPermissionType.ALLOW)


def allow(broker: StrictBroker, script: str, folder: Path, **chosen: str) -> None:
    """Return when the broker knows."""
    admin = AdminClient({"bootstrap.servers": broker.address})
    for each in told(script, folder, kafka=broker.address, **chosen):
        bindings = list(rules(each))
        for made in admin.create_acls(bindings).values():
            made.result()
        for rule in bindings:
            asked = AclBindingFilter(
                rule.restype,
                rule.name,
                rule.resource_pattern_type,
                rule.principal,
                rule.host,
                rule.operation,
                rule.permission_type,
            )
            while not admin.describe_acls(asked).result():  # the controller answers before the broker knows
                pass


@pytest.mark.parametrize("creates", [True, False], ids=["topics are created", "topics are there"])
async def test_these_rights_are_enough_to_check_to_run_and_to_read(
    broker: StrictBroker, prefix: str, tmp_path: Path, creates: bool
) -> None:
    names = {"group": f"{prefix}collector", "prefix": prefix}
    environment = whoever(creates, names["group"])
    async with serving(vendor()) as asked, reading(broker.address, [prefix + topic for topic in EVENTS]) as reader:
        daemon = Daemon(
            tmp_path, broker.sasl_address, prefix, asked, since=f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
        )
        check = partial(collector, "check", "--config", str(daemon.config), env=environment)

        async def all_there() -> bool:
            return SESSIONS == sum(each.topic.endswith("sessions") for each in await reader.poll())

        refused = await check()
        assert (1, True) == (refused.code, "to Describe the topic" in refused.out), refused.out
        for script in (ALWAYS, TO_CREATE) if creates else (ALWAYS,):
            granting = partial(allow, broker, script, tmp_path, user="User:collector", **names)
            await anyio.to_thread.run_sync(granting)
        if not creates:
            await ensure(*by_hand(load(daemon.config), broker.address))
        checked = await check()
        assert (0, creates) == (checked.code, "the first start creates it" in checked.out), checked.out
        try:
            daemon.start(**environment)
            await until(all_there, "every session is published")
            assert (200, "ready\n") == await daemon.get("/readyz")
            daemon.stop()
        finally:
            daemon.close()


async def test_these_rights_are_enough_to_consume(broker: StrictBroker, prefix: str, tmp_path: Path) -> None:
    topic, group = f"{prefix}seemetrix.sessions", f"{prefix}readers"
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker.address)
    everything = KafkaSettings.model_validate({"bootstrap_servers": broker.address, "topic_prefix": prefix})
    await ensure(everything, {"seemetrix.sessions"})
    async with producer:
        await producer.send_and_wait(topic, b"{}")
    with pytest.raises(TopicAuthorizationFailedError):
        await read(broker, group, topic)

    await anyio.to_thread.run_sync(
        partial(allow, broker, TO_READ, tmp_path, user="User:reader", group=group, prefix=prefix)
    )
    assert 1 == await read(broker, group, topic)


def vendor() -> Vendor:
    random = Random(1)
    return Vendor([Known(session(NOW - timedelta(seconds=60 + n), random, n), NOW) for n in range(SESSIONS)])


def whoever(creates: bool, group: str) -> dict[str, str]:
    """The configuration in the environment of a daemon that says who it is."""
    keys = {
        "CREATE_TOPICS": str(creates).lower(),
        "GROUP": group,
        "SASL__MECHANISM": "PLAIN",
        "SASL__USERNAME": "collector",
        "SASL__PASSWORD": PASSWORDS["collector"],
    }
    return {f"COLLECTOR__KAFKA__{name}": value for name, value in keys.items()}


def by_hand(settings: Settings, kafka: str) -> tuple[KafkaSettings, set[str], set[str]]:
    """What somebody creates who may."""
    chosen = settings.kafka.model_copy(update={"bootstrap_servers": kafka, "create_topics": True})
    return chosen, settings.topics(), settings.compacted_topics()


async def read(broker: StrictBroker, group: str, topic: str) -> int:
    """How many messages a consumer reads at once, who then says so."""
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
