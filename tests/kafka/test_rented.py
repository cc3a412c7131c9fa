"""A Kafka as companies rent it, with all at once: policies, quotas, short tokens, few rights, tenants, a registry.

Its parts have tests of their own. Here, nothing that one of them does may harm another.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import anyio
import pytest

from collector.cloudevents import SCHEMA_ID
from tests.commands.harness import collector
from tests.kafka import broker, policy_broker
from tests.kafka.broker import free_port
from tests.kafka.client_quotas import PRODUCED, REQUESTS, limited
from tests.kafka.daemon import EVENTS, Daemon, contents, reading, separate, until
from tests.kafka.policy_broker import PROTECTED, PolicyBroker
from tests.kafka.tls_material import with_kafka_tables
from tests.kafka.token_broker import by_client_credentials, issuing
from tests.kafka.tools import run_script
from tests.needs import need
from tests.registry import server
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]

AWAY_S, LOADED_S = 15, 60
"""How long the registry is away, and how long sessions are added afterwards: for six times the lifetime of a token."""
INTERRUPTIONS = {"epoch_ended", "group_rejoining", "transaction_aborted", "kafka_session_not_renewed", "unexpected"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[PolicyBroker]:
    need("KAFKA", broker.unavailable_reason())
    need("JAVA", policy_broker.unavailable_reason())
    need("REGISTRY", server.unavailable_reason())
    with policy_broker.running(tmp_path / "broker", PROTECTED) as started:
        yield started


class Sessions:
    """The sessions of the vendor, which both tenants publish."""

    def __init__(self) -> None:
        self.vendor = Vendor([])
        self._random = Random(5)

    def add(self) -> None:
        now = datetime.now(UTC)
        added = session(now - timedelta(seconds=5), self._random, len(self.vendor.known))
        self.vendor.known.append(Known(added, now))

    def expected(self) -> Counter[tuple[str, str]]:
        sources = ("mall0", "mall1")
        return Counter(
            event
            for each in self.vendor.known
            for source in sources
            for event in expected_events(each.session, source=source)
        )

    async def add_for(self, seconds: float) -> None:
        end = anyio.current_time() + seconds
        while anyio.current_time() < end:
            self.add()
            await anyio.sleep(0.3)


async def test_two_tenants_are_published_once_whatever_the_service_restricts(
    service: PolicyBroker, prefix: str, tmp_path: Path
) -> None:
    sessions, port = Sessions(), free_port()
    tenants = [f"{prefix}north.", f"{prefix}south."]
    topics = [tenant + topic for tenant in tenants for topic in EVENTS]
    since = f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    async with (
        issuing() as authorization,
        serving(sessions.vendor) as vendor,
        reading(service.address, topics) as reader,
        limited(service, {PRODUCED: 50_000.0, REQUESTS: 20.0}, {"user": "collector"}),
    ):
        tables = by_client_credentials(authorization) | {
            "schema_registry": {"url": f"http://127.0.0.1:{port}{server.API}"}
        }
        daemon = Daemon(tmp_path, service.token_address, prefix, vendor)
        with_kafka_tables(daemon, tables, since=since, allowed_lateness='"10m"', transaction_timeout='"30s"')
        separate_before_kafka(daemon.config, tenants)
        printed = await collector("topics", "--as", "kafka", "--config", str(daemon.config))
        assert 0 == printed.code, printed.err
        rights_only = printed.out.replace("    kafka-topics.sh ", "    : kafka-topics.sh ")
        await anyio.to_thread.run_sync(partial(run_script, rights_only, service, tmp_path, group=f"{prefix}group"))

        async def is_published() -> bool:
            return not sessions.expected() - contents(await reader.poll())

        try:
            daemon.start()
            await sessions.add_for(AWAY_S)
            assert [] == await reader.poll(), "the registry is away"
            async with server.running_beside(tmp_path, port):
                await sessions.add_for(LOADED_S)
                await until(is_published, "every session is published for both tenants", 90)
                daemon.stop()
        finally:
            daemon.close()
        assert sessions.expected() == contents(await reader.to_the_end())
    messages = reader.received
    assert 1 == max(Counter((each.topic, each.id) for each in messages).values())
    assert [] == [each for each in messages if SCHEMA_ID not in each.headers]
    logged = Counter(line["event"] for line in daemon.log_lines())
    assert {} == {event: count for event, count in logged.items() if event in INTERRUPTIONS}
    notices = [line["code"] for line in daemon.log_lines("kafka_notice")]
    assert ["settings_refused"] == notices


def separate_before_kafka(config: Path, tenants: list[str]) -> None:
    """A source for each tenant; the tables of `[kafka]` at the end of the file stay once."""
    text, mark, tables = config.read_text("utf-8").partition("[kafka.sasl]")
    config.write_text(text, "utf-8")
    separate(config, tenants)
    config.write_text(f"{config.read_text('utf-8')}\n{mark}{tables}", "utf-8")
