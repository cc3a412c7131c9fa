"""Why no broker can be reached, as the daemon and `collector check` report it."""

import socket
from pathlib import Path

import anyio
import pytest

from collector.commands.check import check
from collector.kafka.diagnosis.brokers import Diagnosis, diagnose
from collector.kafka.settings import KafkaSettings
from tests.commands.harness import closed_port
from tests.kafka.acl_broker import AclBroker

pytestmark = pytest.mark.anyio


def kafka_line(folder: Path, servers: str) -> str:
    """The only line of `collector check` about a Kafka that cannot be reached."""
    path, lines = folder / "config.toml", dict[str, str]()
    account = f'vendor = "seemetrix"\nbase_url = "http://127.0.0.1:{closed_port()}"\nuser_id = 1\nuser_key = "k-e-y"\n'
    kafka = f'bootstrap_servers = "{servers}"\ntransaction_timeout = "9s"'
    path.write_text(f"[kafka]\n{kafka}\n[sources.mall]\n{account}", "utf-8")
    assert not check(path, lambda finding: lines.update({finding.what: finding.text}))
    assert {str(path), "sources.mall", "kafka"} == lines.keys()
    return lines["kafka"]


async def diagnosed(folder: Path, servers: str) -> Diagnosis:
    """The diagnosis, of which `collector check` reports the cause."""
    found = await diagnose(KafkaSettings(bootstrap_servers=servers))
    assert f"{found.cause}: {found.cause.advice}" == await anyio.to_thread.run_sync(kafka_line, folder, servers)
    return found


async def test_brokers_that_advertise_addresses_that_cannot_be_reached(acl_broker: AclBroker, tmp_path: Path) -> None:
    found = await diagnosed(tmp_path, acl_broker.misadvertised)

    assert ("advertised_broker_unreachable", 0) == (found.cause.code, found.reachable)
    assert all(
        fact in str(found.cause) for fact in (acl_broker.misadvertised, acl_broker.closed_address, "Connection refused")
    )
    assert "advertised.listeners" in found.cause.advice


async def test_hosts_that_do_not_exist_and_ports_that_are_closed(tmp_path: Path) -> None:
    port = closed_port()
    found = await diagnosed(tmp_path, f"kafka.invalid:9092,localhost:{port}")

    assert ("brokers_unreachable", 0) == (found.cause.code, found.reachable)
    assert all(fact in str(found.cause) for fact in ("kafka.invalid:9092", f"localhost:{port}", "Connection refused"))
    assert "kafka.bootstrap_servers" in found.cause.advice


async def test_one_broker_that_responds_is_enough(acl_broker: AclBroker) -> None:
    found = await diagnose(KafkaSettings(bootstrap_servers=f"localhost:{closed_port()},{acl_broker.address}"))

    assert (None, None, 1) == (found.refused, found.unreachable, found.reachable)
    assert "slow_brokers" == found.cause.code


async def test_a_server_that_accepts_connections_and_never_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.kafka.diagnosis.brokers.TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = f"127.0.0.1:{listener.getsockname()[1]}"
        found = await diagnose(KafkaSettings(bootstrap_servers=server))

    assert "brokers_unreachable" == found.cause.code
    assert server in str(found.cause)
