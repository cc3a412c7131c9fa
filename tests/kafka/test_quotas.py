"""A broker that limits its clients makes the collector slow, and nothing else.

The broker reads nothing more from a client that exceeds a quota until it is within it again (KIP-219). aiokafka ignores
`throttle_time_ms`: it sends the next request at once, and waits.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import anyio
import pytest
from aiohttp import web

from tests.kafka import broker
from tests.kafka.broker import Broker
from tests.kafka.client_quotas import PRODUCED, REQUESTS, limited
from tests.kafka.daemon import EVENTS, Daemon, contents, reading, until
from tests.needs import need
from tests.vendor import USER, Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

ACCOUNTS = {"mall": USER, "airport": USER + 2}
"""User ids by source. Their state partitions are 2 and 3, so that each has a producer, and both share the quota."""
SESSIONS = 3000
"""Of each account. The events of all are 3 MB of compressed batches."""
BYTES_PER_S = 100_000.0
BURST_S = 10.0
"""The broker measures over this time, so that it accepts as much at once."""
TRANSACTION_BYTES = 700_000
"""The largest transaction: the broker accepts it completely before it limits the client."""
LOW_BYTES_PER_S, LOW_SESSIONS, LOW_WAIT_S = 12_000.0, 650, 170
PERCENT = 2.0
"""Of the time of one thread of the broker."""
WAIT_S = 80
FAILURES = ("aborted", "fenced")
"""Outcomes of a transaction."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker of its own: the quotas would limit the collectors of other tests."""
    need("KAFKA", broker.unavailable_reason())
    with broker.running(tmp_path_factory.mktemp("limited")) as started:
        yield started


@pytest.mark.parametrize("quotas", [{PRODUCED: BYTES_PER_S}, {REQUESTS: PERCENT}], ids=["bytes", "requests"])
async def test_a_backlog_is_published_once_under_a_quota(
    node: Broker, prefix: str, tmp_path: Path, quotas: Mapping[str, float]
) -> None:
    now, random = datetime.now(UTC), Random(5)
    known = [Known(session(now - timedelta(seconds=60 + n / 4), random, n), now) for n in range(SESSIONS)]
    expected = expected_of(known)
    vendor = Vendor(known)
    vendor.trouble = _accept_every_account
    topics = [prefix + topic for topic in EVENTS]
    async with serving(vendor), reading(node.address, topics) as reader, limited(node, quotas):
        daemon = throttled_daemon(tmp_path, node, prefix, vendor, now - timedelta(minutes=30))

        async def all_published() -> bool:
            return await reader.has(expected.total())

        try:
            daemon.start()
            await until(lambda: reader.has(1), "the first transaction is committed", WAIT_S)
            first_s = anyio.current_time()
            await until(all_published, "all events are published", WAIT_S)
            took_s = anyio.current_time() - first_s
            outcomes = [await daemon.metric(f'collector_transactions_total{{outcome="{each}"}}') for each in FAILURES]
            daemon.stop()
        finally:
            daemon.close()
        assert expected == contents(await reader.poll())
    assert 1 == max(Counter(message.id for message in reader.received).values())
    assert [0.0, 0.0] == outcomes
    assert not [event for event in ("transaction_aborted", "group_rejoining") if daemon.log_lines(event)]
    if PRODUCED in quotas:
        assert took_s > (log_bytes(node, topics) - TRANSACTION_BYTES) / BYTES_PER_S - BURST_S


@pytest.mark.timeout(240)
async def test_transactions_become_smaller_under_a_quota_that_is_too_low_for_the_usual_ones(
    node: Broker, prefix: str, tmp_path: Path
) -> None:
    """The usual one would use up the quota for longer than its deadline, again and again."""
    now, random = datetime.now(UTC), Random(5)
    known = [Known(session(now - timedelta(seconds=60 + n), random, n), now) for n in range(LOW_SESSIONS)]
    expected = Counter(event for each in known for event in expected_events(each.session))
    async with (
        serving(Vendor(known)) as vendor,
        reading(node.address, [prefix + topic for topic in EVENTS]) as reader,
        limited(node, {PRODUCED: LOW_BYTES_PER_S}),
    ):
        keys = {"transaction_timeout": '"6s"', "session_timeout": '"6s"', "timeout": '"30s"'}
        daemon = Daemon(tmp_path, node.address, prefix, vendor, since=f"{now - timedelta(hours=1):%FT%TZ}", **keys)
        try:
            daemon.start()
            await until(lambda: reader.has(expected.total()), "all events are published", LOW_WAIT_S)
            aborted = await daemon.metric('collector_transactions_total{outcome="aborted"}')
            daemon.stop()
        finally:
            daemon.close()
        assert expected == contents(await reader.poll())
    assert 1 == max(Counter(message.id for message in reader.received).values())
    assert aborted > 0, "the usual transactions fit into this quota"


def throttled_daemon(home: Path, node: Broker, prefix: str, vendor: Vendor, since: datetime) -> Daemon:
    """A daemon with a source for each account, and with the default timeouts."""
    timeouts = {"transaction_timeout": '"30s"', "session_timeout": '"15s"', "timeout": '"30s"'}
    daemon = Daemon(home, node.address, prefix, vendor, since=f"{since:%Y-%m-%dT%H:%M:%SZ}", **timeouts)
    common, table, source = daemon.config.read_text("utf-8").partition("[sources.mall]")
    sources = (
        (table + source).replace("sources.mall", f"sources.{name}").replace(f"user_id = {USER}", f"user_id = {user}")
        for name, user in ACCOUNTS.items()
    )
    daemon.config.write_text(common + "".join(sources), "utf-8")
    return daemon


async def _accept_every_account(request: web.Request) -> None:
    """The vendor has one account; the others have the same history."""
    request.match_info["user"] = str(USER)


def expected_of(known: Sequence[Known]) -> Counter[tuple[str, str]]:
    """The events of every session of every account."""
    return Counter(
        event
        for name, user in ACCOUNTS.items()
        for each in known
        for event in expected_events(each.session, source=name, user=user)
    )


def log_bytes(node: Broker, topics: Sequence[str]) -> int:
    """The size of all partitions of the topics on the broker's disk."""
    logs = (log for topic in topics for partition in range(3) for log in node.log_dir(topic, partition).glob("*.log"))
    return sum(log.stat().st_size for log in logs)
