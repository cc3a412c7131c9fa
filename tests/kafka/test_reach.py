"""Why a Kafka cannot be talked to, in the one line of `collector check` for it."""

from pathlib import Path

import anyio
import pytest

from collector.commands.check import check
from tests.commands.harness import closed_port
from tests.kafka.acl_broker import AclBroker

pytestmark = pytest.mark.anyio


def found_of(folder: Path, kafka: str) -> str:
    """The one line of `collector check` on a Kafka that cannot be talked to."""
    path, found = folder / "config.toml", dict[str, str]()
    account = f'vendor = "seemetrix"\nbase_url = "http://127.0.0.1:{closed_port()}"\nuser_id = 1\nuser_key = "k-e-y"\n'
    path.write_text(f'[kafka]\ntransaction_timeout = "9s"\n{kafka}\n[sources.mall]\n{account}', "utf-8")
    assert not check(path, lambda each: found.update({each.what: each.text}), offline=False)
    assert {str(path), "sources.mall", "kafka"} == found.keys()
    return found["kafka"]


async def test_brokers_that_call_themselves_by_addresses_that_cannot_be_reached(
    acl_broker: AclBroker, tmp_path: Path
) -> None:
    told = await anyio.to_thread.run_sync(found_of, tmp_path, f'bootstrap_servers = "{acl_broker.misadvertised}"\n')

    advertised = f"{acl_broker.misadvertised} answers, and calls a broker {acl_broker.closed_address}"
    assert f"{advertised}, which does not: Connection refused" in told
    assert "advertised.listeners" in told


async def test_hosts_that_there_are_not(tmp_path: Path) -> None:
    servers = f'bootstrap_servers = "kafka.invalid:9092,localhost:{closed_port()}"'
    told = await anyio.to_thread.run_sync(found_of, tmp_path, servers)

    assert told.startswith("no broker answers at kafka.invalid:9092: ")
    assert "Connection refused: check kafka.bootstrap_servers, and whether the brokers run" in told
