"""Two tenants on one Kafka: each source has topics of its own, and all share state and progress."""

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

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

from collector.commands.state import init
from collector.config import load
from collector.instants import floor_second
from collector.kafka.topics import ensure_topics
from collector.simulator.rules import Rules
from collector.simulator.server import serving
from tests.kafka import strict_broker
from tests.kafka.broker import unavailable_reason
from tests.kafka.daemon import EVENTS, Daemon, TopicReader, contents, reading, separate, until
from tests.kafka.exact import assert_published_once
from tests.kafka.scenario import (
    DEVICES,
    EVENT_TOPICS,
    MAX_CALLS,
    ZONE,
    Replica,
    busy_world,
    quividi_source,
    seemetrix_source,
)
from tests.kafka.strict_broker import PASSWORDS, StrictBroker
from tests.kafka.tls_material import run_check
from tests.needs import need
from tests.vendor import Known, Vendor, expected_events, session
from tests.vendor import serving as serving_sessions

pytestmark = pytest.mark.anyio


async def test_each_source_publishes_into_its_own_topics(kafka: str, prefix: str, tmp_path: Path) -> None:
    start = floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=3)
    world = busy_world(since, start)
    rules = Rules(zone=ZONE, export_s=0.5, calls_per_minute=MAX_CALLS)
    tenants = {"seemetrix": f"{prefix}north.", "quividi": f"{prefix}south."}
    async with serving(world, host="127.0.0.1", port=0, rules=rules) as vendors:
        tables = seemetrix_source(vendors, since), quividi_source(vendors, since, DEVICES)
        sources = "".join(
            table.replace('timeout = "5s"', f'timeout = "5s"\ntopic_prefix = "{tenant}"', 1)
            for table, tenant in zip(tables, tenants.values(), strict=True)
        )
        topics = [tenants[topic.partition(".")[0]] + topic for topic in EVENT_TOPICS]
        daemon = Replica(tmp_path, kafka, prefix, sources)
        async with reading(kafka, topics) as reader:
            try:
                daemon.start()
                await assert_published_once(daemon, reader, vendors, since=since, latest=start)
            finally:
                daemon.close()

    existing = set(AdminClient({"bootstrap.servers": kafka}).list_topics(timeout=10).topics)
    letters = {f"{tenant}collector.dead_letters" for tenant in tenants.values()}
    shared = {f"{prefix}collector.state", f"{prefix}collector.progress"}
    assert {*topics, *letters, *shared} == {name for name in existing if name.startswith(prefix)}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StrictBroker]:
    """A broker that denies what no ACL allows."""
    need("KAFKA", unavailable_reason())
    with strict_broker.running(tmp_path_factory.mktemp("strict")) as node:
        yield node


class Tenants:
    """Two tenants with a session each at one simulated Seemetrix, and a replica that polls both."""

    NORTH, SOUTH = "mall0", "mall1"

    def __init__(self, home: Path, kafka: str, prefix: str, vendor: Vendor, known: Known, *, creates: bool) -> None:
        self.prefixes = {self.NORTH: f"{prefix}north.", self.SOUTH: f"{prefix}south."}
        self.replica = Daemon(home, kafka, prefix, vendor)
        since = f"{known.since - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}"
        self.replica.configure(since=since, allowed_lateness='"10m"')
        separate(self.replica.config, list(self.prefixes.values()))
        text = self.replica.config.read_text("utf-8")
        keys = f"[kafka]\ncreate_topics = {str(creates).lower()}\n"
        self.replica.config.write_text(text.replace("[kafka]\n", keys, 1), "utf-8")
        self._known = known

    def topics(self, source: str) -> list[str]:
        """The topics of a tenant's events."""
        return [self.prefixes[source] + topic for topic in EVENTS]

    def expected(self, source: str) -> list[tuple[str, str]]:
        return sorted(expected_events(self._known.session, source=source))

    async def row(self, source: str) -> Mapping[str, Any]:
        """The status of a tenant's stream."""
        code, body = await self.replica.get("/api/status")
        rows: list[dict[str, Any]] = json.loads(body)["streams"] if code == 200 else []
        return next((row for row in rows if row["source"] == source), {})

    async def is_in(self, source: str, state: str) -> bool:
        return bool((await self.row(source)).get("state") == state)

    def is_published(self, source: str, reader: TopicReader) -> Callable[[], Awaitable[bool]]:
        async def is_published() -> bool:
            return self.expected(source) == sorted(contents(await reader.poll()).elements())

        return is_published


def one_session() -> Known:
    now = datetime.now(UTC)
    return Known(session(now - timedelta(seconds=30), Random(16), 1), now)


@pytest.mark.parametrize("missing", ["seemetrix.attention", "collector.dead_letters"])
async def test_a_tenant_whose_topic_is_missing_waits_for_it_alone(
    kafka: str, prefix: str, tmp_path: Path, missing: str
) -> None:
    known = one_session()
    async with serving_sessions(Vendor([known])) as vendor:
        tenants = Tenants(tmp_path, kafka, prefix, vendor, known, creates=False)
        settings = load(tenants.replica.config)
        absent = tenants.prefixes[tenants.SOUTH] + missing
        by_hand = settings.kafka.model_copy(update={"create_topics": True})
        await ensure_topics(by_hand, set(settings.topics()) - {absent}, settings.compacted_topics())
        async with (
            reading(kafka, tenants.topics(tenants.NORTH)) as north,
            reading(kafka, tenants.topics(tenants.SOUTH)) as south,
        ):
            try:
                tenants.replica.start()
                await until(tenants.is_published(tenants.NORTH, north), "the other tenant is published")
                await until(partial(tenants.is_in, tenants.SOUTH, "parked"), "the tenant is parked")
                error = (await tenants.row(tenants.SOUTH))["last_error"]
                checked = await run_check(tenants.replica.config)
                assert [] == await south.poll()
                assert (200, "ready\n") == await tenants.replica.get("/readyz")

                await ensure_topics(by_hand, {absent})

                await until(tenants.is_published(tenants.SOUTH, south), "it is published once the topic exists")
            finally:
                tenants.replica.close()
    assert "topic_missing" == error["code"]
    assert absent in error["error"]
    assert absent in error["advice"]
    assert f"topic {absent}: topics are missing" in checked.stdout


def allowed(prefix: str, *operations: AclOperation, kind: ResourceType = ResourceType.TOPIC) -> list[AclBinding]:
    """ACLs that allow the collector's user these operations on all whose name starts with the prefix."""
    target = (kind, prefix, ResourcePatternType.PREFIXED, "User:collector", "*")
    return [AclBinding(*target, operation, AclPermissionType.ALLOW) for operation in operations]


async def test_a_tenant_whose_topics_may_not_be_created_waits_for_that_alone(
    strict: StrictBroker, prefix: str, tmp_path: Path
) -> None:
    known = one_session()
    environment = {
        "COLLECTOR__KAFKA__SASL__MECHANISM": "PLAIN",
        "COLLECTOR__KAFKA__SASL__USERNAME": "collector",
        "COLLECTOR__KAFKA__SASL__PASSWORD": PASSWORDS["collector"],
    }
    strict.allow(
        [
            *allowed(prefix, AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE_CONFIGS),
            *allowed(prefix, AclOperation.WRITE, kind=ResourceType.TRANSACTIONAL_ID),
            *allowed(prefix, AclOperation.READ, kind=ResourceType.GROUP),
            *allowed(f"{prefix}collector.", AclOperation.CREATE),
            *allowed(f"{prefix}north.", AclOperation.CREATE),
        ]
    )
    async with serving_sessions(Vendor([known])) as vendor:
        tenants = Tenants(tmp_path, strict.sasl_address, prefix, vendor, known, creates=True)
        async with (
            reading(strict.address, tenants.topics(tenants.NORTH)) as north,
            reading(strict.address, tenants.topics(tenants.SOUTH)) as south,
        ):
            try:
                tenants.replica.start(**environment)
                await until(tenants.is_published(tenants.NORTH, north), "the other tenant is published")
                await until(partial(tenants.is_in, tenants.SOUTH, "parked"), "the tenant is parked")
                error = (await tenants.row(tenants.SOUTH))["last_error"]
                assert (200, "ready\n") == await tenants.replica.get("/readyz")

                strict.allow(allowed(f"{prefix}south.", AclOperation.CREATE))

                await until(tenants.is_published(tenants.SOUTH, south), "it is published once they may be created")
            finally:
                tenants.replica.close()
    assert "topic_not_created" == error["code"]
    (denied,) = [topic for topic in settings_topics(tenants, tenants.SOUTH) if topic in error["error"]]
    assert denied in error["advice"]


def settings_topics(tenants: Tenants, source: str) -> set[str]:
    """The topics of a tenant, that of dead letters included."""
    return {name for name in load(tenants.replica.config).topics() if name.startswith(tenants.prefixes[source])}


async def test_lost_state_is_accepted_although_a_topic_of_a_tenant_is_missing(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    known = one_session()
    async with serving_sessions(Vendor([known])) as vendor:
        tenants = Tenants(tmp_path, kafka, prefix, vendor, known, creates=False)
        settings = load(tenants.replica.config)
        by_hand = settings.kafka.model_copy(update={"create_topics": True})
        present = set(settings.topics()) - {tenants.topics(tenants.SOUTH)[0]}
        await ensure_topics(by_hand, present, settings.compacted_topics())

        accepted = await anyio.to_thread.run_sync(init, tenants.replica.config)

    assert "the state in 4 partitions" in accepted
