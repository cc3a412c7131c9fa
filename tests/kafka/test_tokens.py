"""Tokens, with a real broker that ends each session after ten seconds: nothing is lost, doubled or interrupted."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from collector.kafka.requests import metadata
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin
from tests.kafka.daemon import EVENTS, Daemon, TopicReader, contents, reading, until
from tests.kafka.test_rotation import not_ready
from tests.kafka.tls_material import kafka_line, run_check, sasl, with_kafka_tables
from tests.kafka.token_broker import (
    CLIENT_SECRET,
    SESSION_S,
    TokenBroker,
    by_client_credentials,
    by_file,
    issuing,
    jwt,
)
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

UNDER_LOAD_S = 10 * SESSION_S
MIN_TRANSACTIONS = 2 * 10
"""Two for each session."""
HARMFUL = {
    "epoch_ended",
    "group_coordinator_away",
    "group_rejoining",
    "kafka_refused",
    "kafka_session_not_renewed",
    "kafka_unavailable",
    "transaction_aborted",
    "unexpected",
}
CUT = "KafkaConnectionError"
"""In aiokafka's own lines about requests whose connection was closed."""
OUTAGES: Mapping[str, tuple[tuple[int, str] | None, tuple[str, ...]]] = {
    "refuses": (
        (401, '{"error": "invalid_client", "error_description": "the client was deleted"}'),
        ("HTTP 401", "invalid_client", "the client was deleted", "client_secret"),
    ),
    "fails": ((500, "<html>"), ("HTTP 500", "authorization server")),
    "is away": (None, ("authorization server", "no connection")),
}
"""How the authorization server fails, and what the reason in /readyz contains."""


class Load:
    """A vendor that has a new session several times a second, the events expected of it, and those published."""

    def __init__(self, vendor: Vendor, reader: TopicReader, daemon: Callable[..., Daemon]) -> None:
        self.daemon = daemon
        """Makes a daemon that polls the vendor, from the address of the brokers and tables of `[kafka]`."""
        self._vendor, self._reader = vendor, reader
        self._expected = Counter[tuple[str, str]]()
        self._random = Random(16)

    def add(self) -> None:
        now = datetime.now(UTC)
        added = session(now - timedelta(seconds=5), self._random, len(self._vendor.known))
        self._vendor.known.append(Known(added, now))
        self._expected.update(expected_events(added))

    async def run(self, until_done: Callable[[], Awaitable[None]]) -> None:
        """Add sessions until that returns."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._add_repeatedly)
            await until_done()
            tasks.cancel_scope.cancel()

    async def _add_repeatedly(self) -> None:
        while True:
            self.add()
            await anyio.sleep(0.3)

    async def published(self) -> None:
        """Return when the sessions so far are published."""
        expected = self._expected.copy()

        async def is_published() -> bool:
            return not expected - contents(await self._reader.poll())

        await until(is_published, "the sessions so far are published")

    async def verify(self) -> None:
        """Everything is published, and nothing twice."""
        await self.published()
        assert self._expected == contents(await self._reader.to_the_end())
        assert 1 == max(Counter(message.id for message in self._reader.received).values())


@asynccontextmanager
async def load(broker: TokenBroker, prefix: str, home: Path) -> AsyncIterator[Load]:
    vendor = Vendor([])
    since = f"{datetime.now(UTC) - timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}"
    daemons: list[Daemon] = []

    def daemon(address: str, tables: Mapping[str, Mapping[str, Any]]) -> Daemon:
        made = Daemon(home, address, prefix, vendor)
        daemons.append(with_kafka_tables(made, tables, since=since, allowed_lateness='"10m"'))
        return made

    async with serving(vendor), reading(broker.address, [prefix + topic for topic in EVENTS]) as reader:
        try:
            yield Load(vendor, reader, daemon)
        finally:
            for each in daemons:
                each.close()


async def start(daemons: Sequence[Daemon]) -> None:
    for each in daemons:
        each.start()
    for each in daemons:
        await until(each.is_ready, "ready")


def counts(daemon: Daemon) -> Counter[str]:
    """How often each event was logged."""
    return Counter(line["event"] for line in daemon.log_lines())


async def transactions(daemon: Daemon, outcome: str) -> float:
    return await daemon.metric(f'collector_transactions_total{{outcome="{outcome}"}}')


def interruptions(daemon: Daemon) -> Counter[str]:
    """The lines of the log that mean that something was interrupted.

    aiokafka repeats most requests of a connection that a broker has closed, and logs them at level debug.
    """
    found = Counter({event: count for event, count in counts(daemon).items() if event in HARMFUL})
    found.update(line["event"] for line in daemon.log_lines() if CUT in line["event"])
    return found


@pytest.mark.timeout(400)
async def test_sessions_are_renewed_under_load(token_broker: TokenBroker, prefix: str, tmp_path: Path) -> None:
    """Two replicas with tokens, one with a password, and one with a token file; concurrently, because each waits."""
    async with anyio.create_task_group() as tasks:
        scenarios = (_tokens_are_renewed, _passwords_are_sent_again, _a_file_is_replaced)
        for number, scenario in enumerate(scenarios):
            home = tmp_path / str(number)
            home.mkdir()
            tasks.start_soon(scenario, token_broker, f"{prefix}{number}-", home)


async def _tokens_are_renewed(broker: TokenBroker, prefix: str, tmp_path: Path) -> None:
    async with issuing() as server, load(broker, prefix, tmp_path) as the_load:
        replicas = [the_load.daemon(broker.token_address, by_client_credentials(server)) for _ in range(2)]
        the_load.add()
        await start(replicas)
        await the_load.published()
        assigned = [counts(each)["partitions_assigned"] for each in replicas]

        await the_load.run(partial(anyio.sleep, UNDER_LOAD_S))

        await the_load.verify()
        for replica, before in zip(replicas, assigned, strict=True):
            assert not interruptions(replica)
            assert before == counts(replica)["partitions_assigned"], "it joined the group again"
            assert 0 == await transactions(replica, "aborted")
        assert MIN_TRANSACTIONS < sum([await transactions(each, "committed") for each in replicas])
        # Each of the replicas requests a token when less than half of the last one's lifetime is left.
        assert server.requests <= 3 + len(replicas) * (UNDER_LOAD_S + 30) / (SESSION_S / 2)
        logs = "".join(each.log.read_text("utf-8") for each in replicas)
        assert not [each for each in (CLIENT_SECRET, *server.issued, "Traceback") if each in logs]


async def _passwords_are_sent_again(broker: TokenBroker, prefix: str, tmp_path: Path) -> None:
    async with load(broker, prefix, tmp_path) as the_load:
        daemon = the_load.daemon(broker.password_address, sasl("PLAIN"))
        await start([daemon])
        await the_load.run(partial(anyio.sleep, UNDER_LOAD_S))
        await the_load.verify()
        assert not interruptions(daemon)
        assert 0 == await transactions(daemon, "aborted")


async def _a_file_is_replaced(broker: TokenBroker, prefix: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    write(token, jwt(60))  # longer than the daemon takes to start
    written = []

    async def rotates() -> None:
        for _ in range(12):
            await anyio.sleep(SESSION_S / 2)
            written.append(jwt())
            write(token, written[-1])

    async with load(broker, prefix, tmp_path) as the_load:
        daemon = the_load.daemon(broker.token_address, by_file(token))
        await start([daemon])
        await the_load.run(rotates)
        await the_load.verify()
        assert not interruptions(daemon)

        await until(partial(not_ready, daemon, broker.token_address, "expired", "kafka.sasl.token"), "it has expired")
        token.unlink()
        await until(partial(not_ready, daemon, str(token)), "it is missing")
        write(token, jwt(600))
        await until(daemon.is_ready, "ready again")
        the_load.add()
        await the_load.verify()
        log = daemon.log.read_text("utf-8")
        assert not [each for each in (*written, "Traceback") if each in log]


async def test_an_authorization_server_that_fails_is_reported_and_nothing_is_lost(
    token_broker: TokenBroker, prefix: str, tmp_path: Path
) -> None:
    async with issuing() as server, load(token_broker, prefix, tmp_path) as the_load:
        daemon = the_load.daemon(token_broker.token_address, by_client_credentials(server))
        await start([daemon])

        async def fails_and_returns() -> None:
            for failure, facts in OUTAGES.values():
                server.failure = failure
                if failure is None:
                    await server.stop()
                await until(partial(not_ready, daemon, *facts), f"not ready: {facts}")
                requests = server.requests
                await anyio.sleep(4)
                assert server.requests - requests <= 4, "a server that fails gets too many requests"
                checked = await run_check(daemon.config)
                assert (1, []) == (checked.exit_code, [fact for fact in facts if fact not in kafka_line(checked)])
                server.failure = None
                if failure is None:
                    await server.start()
                await until(daemon.is_ready, "ready again")
                await the_load.published()

        await the_load.run(fails_and_returns)
        await the_load.verify()
        log = daemon.log.read_text("utf-8")
        assert not [each for each in (CLIENT_SECRET, *server.issued, "Traceback") if each in log]


async def test_check_reports_once_that_there_is_no_token(
    token_broker: TokenBroker, prefix: str, tmp_path: Path
) -> None:
    async with issuing() as server, load(token_broker, prefix, tmp_path) as the_load:
        server.failure = (503, "{}")
        missing = tmp_path / "missing"
        keys = by_client_credentials(server)["sasl"]
        for sasl_keys, fact in (
            (by_file(missing)["sasl"], str(missing)),
            ({**keys, "client_secret": {"file": missing}}, str(missing)),
            (keys, "HTTP 503"),
        ):
            daemon = the_load.daemon(token_broker.token_address, {"sasl": sasl_keys})
            checked = await run_check(daemon.config)
            assert (1, 1, 1) == (checked.exit_code, checked.output.count(fact), checked.output.count("no Kafka token"))


async def test_a_broker_accepts_extensions_with_a_token(token_broker: TokenBroker) -> None:
    keys = {"mechanism": "OAUTHBEARER", "token": jwt(), "extensions": {"logicalCluster": "lkc-1", "poolId": "a b=c"}}
    settings = KafkaSettings.model_validate({"bootstrap_servers": token_broker.token_address, "sasl": keys})
    async with admin(settings) as client:
        assert [1] == list((await metadata(client, [])).brokers)


def write(path: Path, text: str) -> None:
    """Replace the file atomically, as Kubernetes does."""
    new = path.with_suffix(".new")
    new.write_text(text, "utf-8")
    new.replace(path)
