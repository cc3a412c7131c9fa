"""The policies of the tests' own rented service do what those of real ones do, and the collector copes with them."""

import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random

import anyio
import pytest
from aiokafka.abc import AbstractTokenProvider
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType
from msgspec import structs

from collector.kafka.requests import BAD_REPLICATION_FACTOR, NO_ERROR, TOPIC_DENIED
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin as topics_admin
from collector.kafka.topics import describe, ensure_topics
from tests.kafka import broker, policy_broker, tools
from tests.kafka.client_quotas import PRODUCED, REQUESTS, limited
from tests.kafka.daemon import EVENTS, Daemon, contents, reading, until
from tests.kafka.policy_broker import MINIMUM, PROTECTED, PolicyBroker, unsecured_token
from tests.kafka.strict_broker import PASSWORDS
from tests.needs import need
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

INVALID_CONFIG, POLICY_VIOLATION = 40, 44
SERVICES = {
    "protected": (PROTECTED, 1),
    "protected as invalid": (structs.replace(PROTECTED, error="INVALID_CONFIG"), 1),
    "minimum": (structs.replace(MINIMUM, replication_factor=2), 2),
}
"""The policy and the number of nodes, by name."""
DEFAULT = -1
COMPACT = {"cleanup.policy": "compact"}
RETAINED = {"cleanup.policy": "delete", "retention.ms": "172800000"}
SMALL = COMPACT | {"segment.bytes": str(32 << 20)}
LARGE = COMPACT | {"segment.bytes": str(50 << 20), "min.cleanable.dirty.ratio": "0.1"}


Services = Callable[[str], PolicyBroker]
"""Returns the first node of a service, by its name, once it has started."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    need("KAFKA", broker.unavailable_reason())
    need("JAVA", policy_broker.unavailable_reason())
    with ExitStack() as stack:

        @cache
        def started(name: str) -> PolicyBroker:
            policy, nodes = SERVICES[name]
            return stack.enter_context(policy_broker.running(tmp_path_factory.mktemp("service"), policy, nodes))

        yield started


@asynccontextmanager
async def admin(address: str, **options: object) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=address, **options)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def new_topic(name: str, replication: int, configs: Mapping[str, str]) -> NewTopic:
    """A topic, by default with the brokers' number of replicas: aiokafka accepts that only beside an assignment."""
    return NewTopic(name, 1, replication, {} if replication == DEFAULT else None, dict(configs))


@pytest.mark.parametrize(
    ("service", "replication", "configs", "code"),
    [
        ("protected", 1, COMPACT, NO_ERROR),
        ("protected", DEFAULT, RETAINED, NO_ERROR),
        ("protected", DEFAULT, SMALL, POLICY_VIOLATION),
        ("protected", DEFAULT, LARGE, POLICY_VIOLATION),
        ("protected", DEFAULT, RETAINED | {"min.insync.replicas": "1"}, POLICY_VIOLATION),
        ("protected", 3, COMPACT, BAD_REPLICATION_FACTOR),
        ("protected as invalid", DEFAULT, COMPACT, NO_ERROR),
        ("protected as invalid", DEFAULT, SMALL, INVALID_CONFIG),
        ("minimum", 1, COMPACT, POLICY_VIOLATION),
        ("minimum", 2, COMPACT, NO_ERROR),
        ("minimum", DEFAULT, COMPACT, NO_ERROR),
        ("minimum", DEFAULT, SMALL, POLICY_VIOLATION),
        ("minimum", DEFAULT, LARGE, NO_ERROR),
        ("minimum", 3, COMPACT, BAD_REPLICATION_FACTOR),
    ],
)
async def test_a_topic_is_refused_or_created_as_the_service_allows(
    services: Services, prefix: str, service: str, replication: int, configs: Mapping[str, str], code: int
) -> None:
    """The policy decides also when the topic is only validated."""
    name = f"{prefix}things"
    async with admin(services(service).address) as client:
        for validate_only in (True, False):
            response = await client.create_topics([new_topic(name, replication, configs)], validate_only=validate_only)
            assert [(name, code)] == [tuple(error[:2]) for error in response.topic_errors]


@pytest.mark.parametrize("service", ["protected", "minimum"])
async def test_the_rules_apply_to_changed_settings_too(services: Services, prefix: str, service: str) -> None:
    name = f"{prefix}things"

    async def change(configs: Mapping[str, str]) -> int:
        (response,) = await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(configs))])
        ((code, *_),) = response.resources
        return int(code)

    async with admin(services(service).address) as client:
        await client.create_topics([new_topic(name, DEFAULT, COMPACT)])
        assert NO_ERROR == await change(RETAINED)
        assert POLICY_VIOLATION == await change(SMALL)


class Tokens(AbstractTokenProvider):  # type: ignore[misc]
    async def token(self) -> str:
        return unsecured_token("collector")


async def test_a_client_with_a_token_has_the_rights_of_its_user(services: Services, prefix: str) -> None:
    name, service = f"{prefix}things", services("protected")
    options = {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_provider": Tokens(),
    }

    async def create() -> int:
        response = await client.create_topics([new_topic(name, DEFAULT, COMPACT)])
        return int(response.topic_errors[0][1])

    async with admin(service.token_address, **options) as client:
        assert TOPIC_DENIED == await create()
        target = (ResourceType.TOPIC, name, ResourcePatternType.LITERAL, "User:collector", "*")
        right = AclBinding(*target, AclOperation.CREATE, AclPermissionType.ALLOW)
        await anyio.to_thread.run_sync(service.allow, [right])
        assert NO_ERROR == await create()


SCRIPT = """
kafka-topics.sh --bootstrap-server "$kafka" --create --topic "$topic" --config cleanup.policy=compact
kafka-acls.sh --bootstrap-server "$kafka" --add --allow-principal User:reader --operation Read --topic "$topic"
kafka-acls.sh --bootstrap-server "$kafka" --list --topic "$topic"
kafka-configs.sh --bootstrap-server "$kafka" --alter --entity-type users --entity-name reader \
    --add-config consumer_byte_rate=100000
kafka-configs.sh --bootstrap-server "$kafka" --describe --entity-type users --entity-name reader
kafka-topics.sh --bootstrap-server "$kafka" --create --topic "$topic-2" --config segment.bytes=33554432
"""


def test_the_tools_of_kafka_do_what_the_service_allows(services: Services, prefix: str, tmp_path: Path) -> None:
    """Topics, rights and quotas can be set with them. The last command is refused."""
    environment = {
        "PATH": f"{tools.installed(tmp_path / 'bin')}:{os.environ['PATH']}",
        "kafka": services("protected").address,
        "topic": f"{prefix}things",
    }
    done = subprocess.run(
        ["sh", "-euc", SCRIPT], check=False, capture_output=True, text=True, env=environment, timeout=120
    )
    facts = ("principal=User:reader", "operation=READ", "consumer_byte_rate=100000", "PolicyViolationException")
    output = done.stdout + done.stderr
    assert 0 != done.returncode
    assert [] == [fact for fact in facts if fact not in output], output


@pytest.mark.parametrize("service", SERVICES)
async def test_the_collector_creates_its_topics_on_each_service(services: Services, prefix: str, service: str) -> None:
    """The smaller segments of the state topic are refused, which a notice reports; the retention of events is not."""
    events = f"{prefix}seemetrix.sessions"
    settings = KafkaSettings.model_validate({"bootstrap_servers": services(service).address, "topic_prefix": prefix})

    verified = await ensure_topics(settings, [events])

    assert ["settings_refused"] == [notice.code for notice in verified.notices]
    async with topics_admin(settings) as client:
        while len(found := await describe(client, settings, [events, settings.state_topic])) < 2:  # noqa: ASYNC110
            await anyio.sleep(0.05)  # brokers describe a new topic a little later, and announce nothing
    state = found[settings.state_topic].configs
    assert ("compact", str(1 << 30)) == (state["cleanup.policy"], state["segment.bytes"])
    assert str(30 * 86_400_000) == found[events].configs["retention.ms"]


async def test_a_tenant_with_a_quota_and_few_rights_is_served(services: Services, prefix: str, tmp_path: Path) -> None:
    """Policies, rights of one prefix only, and a quota of the user, together."""
    service, now, random = services("protected"), datetime.now(UTC), Random(7)
    vendor = Vendor([Known(session(now - timedelta(seconds=60 + n), random, n), now) for n in range(50)])
    expected = Counter(event for each in vendor.known for event in expected_events(each.session))
    await anyio.to_thread.run_sync(service.allow, list(rights("User:neighbor", prefix)))
    async with (
        serving(vendor),
        reading(service.address, [prefix + topic for topic in EVENTS]) as reader,
        limited(service, {PRODUCED: 20_000.0, REQUESTS: 5.0}, {"user": "neighbor"}),
    ):
        daemon = Daemon(tmp_path, service.sasl_address, prefix, vendor, since=f"{now - timedelta(minutes=9):%FT%TZ}")
        login = {"MECHANISM": "PLAIN", "USERNAME": "neighbor", "PASSWORD": PASSWORDS["neighbor"]}

        async def all_published() -> bool:
            return await reader.has(expected.total())

        try:
            daemon.start(**{f"COLLECTOR__KAFKA__SASL__{key}": value for key, value in login.items()})
            await until(all_published, "every session is published")
            assert 0 == await daemon.metric('collector_transactions_total{outcome="aborted"}')
            daemon.stop()
        finally:
            daemon.close()
        assert expected == contents(await reader.poll())


def rights(principal: str, prefix: str) -> Iterator[AclBinding]:
    """All rights that a collector needs, on names with its prefix only."""
    for kind, operations in (
        (ResourceType.TOPIC, ("READ", "WRITE", "CREATE", "DESCRIBE_CONFIGS")),
        (ResourceType.GROUP, ("READ",)),
        (ResourceType.TRANSACTIONAL_ID, ("WRITE",)),
    ):
        for operation in operations:
            target = (kind, prefix, ResourcePatternType.PREFIXED, principal, "*")
            yield AclBinding(*target, AclOperation[operation], AclPermissionType.ALLOW)
