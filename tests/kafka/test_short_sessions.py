"""Sessions of two seconds: each rebalance, and most of what else happens, meets a renewal."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest

from collector.kafka.diagnosis.probe import probe_cluster
from collector.kafka.notices import MIN_SESSION_S, KafkaNotice
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin
from tests.kafka import token_broker
from tests.kafka.broker import unavailable_reason
from tests.kafka.daemon import Daemon, until
from tests.kafka.secure_broker import PASSWORD, USER
from tests.kafka.test_tokens import counts, load, start, transactions
from tests.kafka.tls_material import sasl
from tests.kafka.token_broker import TokenBroker
from tests.needs import need

pytestmark = pytest.mark.anyio

SHORT_S = 2
REBALANCES = 2
HARMFUL = {"kafka_refused", "kafka_session_not_renewed", "unexpected"}
"""On a busy machine, a transaction may take longer than half of a session: it is aborted and repeated."""


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenBroker]:
    """A broker that ends sessions after two seconds."""
    need("KAFKA", unavailable_reason())
    with token_broker.running(tmp_path_factory.mktemp("short"), SHORT_S) as started:
        yield started


async def test_sessions_are_renewed_while_replicas_join_and_leave(
    short: TokenBroker, prefix: str, tmp_path: Path
) -> None:
    async with load(short, prefix, tmp_path) as the_load:
        staying, coming = (the_load.daemon(short.password_address, sasl("PLAIN")) for _ in range(2))
        the_load.add()
        await start([staying])
        await the_load.published()
        before = counts(staying)
        committed = await transactions(staying, "committed")

        async def join_and_leave() -> None:
            for _ in range(REBALANCES):
                await start([coming])
                await until(partial(has_joined, coming), "the replica has joined")
                await anyio.to_thread.run_sync(coming.stop)
            await the_load.published()

        await the_load.run(join_and_leave)
        await the_load.verify()
        since = counts(staying) - before
        assert since["partitions_assigned"] >= REBALANCES
        assert await transactions(staying, "committed") > committed
        assert {} == {event: count for event, count in since.items() if event in HARMFUL}


async def has_joined(daemon: Daemon) -> bool:
    return counts(daemon)["partitions_assigned"] > 0


async def test_sessions_that_are_too_short_are_noticed(short: TokenBroker) -> None:
    of_sasl = {"mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    chosen = KafkaSettings.model_validate({"bootstrap_servers": short.password_address, "sasl": of_sasl})
    async with admin(chosen) as client:
        found = {what: result async for what, result in probe_cluster(client, chosen)}

    notice = found["sessions"]
    assert isinstance(notice, KafkaNotice)
    assert ("short_sessions", True) == (notice.code, SHORT_S < MIN_SESSION_S)
    assert f"{SHORT_S} s" in notice.reason
