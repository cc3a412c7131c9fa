"""Certificates and passwords change while the daemon runs: it reconnects by itself, and loses or duplicates nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random

import anyio
import anyio.lowlevel
import pytest

from tests.faults.forwarder import Forwarder
from tests.kafka.daemon import EVENTS, Daemon, TopicReader, contents, reading, until
from tests.kafka.secure_broker import PASSWORD, USER, SecureBroker
from tests.kafka.tls_material import WRONG_PASSWORD, TlsMaterial, sasl, tls, with_kafka_tables
from tests.vendor import Known, Vendor, expected_events, serving, session

pytestmark = pytest.mark.anyio

Steps = list[tuple[Sequence[str], Callable[[], object]]]
"""Facts that the reason in /readyz must contain, and then the fix."""
SECOND_PASSWORD = "the second/pass+word"


async def test_fixed_credentials_are_used_without_a_restart(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    """Of the CA file, the client certificate and the password, which are all wrong at the start."""
    ca, client, password = tmp_path / "ca.pem", tmp_path / "client.pem", tmp_path / "password"
    ca.write_bytes(tls_material.other_ca.read_bytes())
    client.write_bytes(tls_material.expired_client.read_bytes())
    password.write_text(WRONG_PASSWORD, "utf-8")
    mtls, sasl_tls = secure_broker.listener("MTLS"), secure_broker.listener("SASL_TLS")
    certificate_steps: Steps = [
        ((mtls, "kafka.tls.ca_file"), partial(replace, ca, tls_material.ca)),
        ((mtls, str(client)), partial(replace, client, tls_material.client)),
    ]
    password_steps: Steps = [
        ((sasl_tls, USER, "kafka.sasl"), password.unlink),
        ((str(password),), partial(password.write_bytes, f"{PASSWORD}\r\n".encode())),
    ]
    async with serving(Vendor([])) as vendor, anyio.create_task_group() as tasks:
        daemon = Daemon(tmp_path, mtls, f"{prefix}1-", vendor)
        tasks.start_soon(_becomes_ready, with_kafka_tables(daemon, tls(ca, client)), certificate_steps)
        daemon = Daemon(tmp_path, sasl_tls, f"{prefix}2-", vendor)
        tables = tls(tls_material.ca) | sasl(password={"file": password})
        tasks.start_soon(_becomes_ready, with_kafka_tables(daemon, tables), password_steps)


async def _becomes_ready(daemon: Daemon, steps: Steps) -> None:
    try:
        daemon.start()
        for facts, fix in steps:
            await until(partial(not_ready, daemon, *facts), f"not ready: {facts}")
            fix()
        await until(daemon.is_ready, "the daemon is ready")
        await anyio.to_thread.run_sync(daemon.stop)
    finally:
        daemon.close()
    log = daemon.log.read_text("utf-8")
    assert not [each for each in (WRONG_PASSWORD, PASSWORD, "Traceback") if each in log]


async def not_ready(daemon: Daemon, *facts: str) -> bool:
    """Whether the daemon is not ready, for a reason that contains these facts."""
    code, text = await daemon.get("/readyz")
    return code == 503 and all(fact in text for fact in facts)


def replace(path: Path, source: Path) -> None:
    """Replace the file atomically by a copy of another."""
    new = path.with_suffix(".new")
    new.write_bytes(source.read_bytes())
    new.replace(path)


async def test_a_password_changed_on_both_sides_loses_and_duplicates_nothing(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    """The broker keeps existing connections open after the change, so the test closes them to make it take effect."""
    random, now = Random(5), datetime.now(UTC)
    vendor, expected = Vendor([]), Counter[tuple[str, str]]()
    password = tmp_path / "password"
    password.write_text(PASSWORD, "utf-8")
    since = (now - timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    forwarder = Forwarder(f"//{secure_broker.listener('FORWARDED')}", secure_broker.forwarded_port)
    async with (
        serving(vendor),
        forwarder.serving(),
        reading(secure_broker.address, [prefix + topic for topic in EVENTS]) as reader,
    ):
        daemon = with_kafka_tables(
            Daemon(tmp_path, f"localhost:{secure_broker.forwarded_port}", prefix, vendor),
            tls(tls_material.ca) | sasl(password={"file": password}),
            since=since,
            allowed_lateness='"10m"',
        )

        async def publishes() -> None:
            added = session(datetime.now(UTC) - timedelta(seconds=5), random, len(vendor.known))
            vendor.known.append(Known(added, now))
            expected.update(expected_events(added))
            await until(lambda: _has_all(reader, expected), "the session is published")

        try:
            daemon.start()
            await publishes()

            await anyio.to_thread.run_sync(secure_broker.set_password, SECOND_PASSWORD)
            await publishes()
            with forwarder.cut(silent=False):
                await anyio.lowlevel.checkpoint()
            await until(lambda: not_ready(daemon, USER, "kafka.sasl"), "the old password is refused")
            password.write_text(SECOND_PASSWORD, "utf-8")
            await publishes()
            await until(daemon.is_ready, "ready again")
            await anyio.to_thread.run_sync(daemon.stop)
        finally:
            daemon.close()
            await anyio.to_thread.run_sync(secure_broker.set_password, PASSWORD)
        assert expected == contents(await reader.to_the_end())
        assert 1 == max(Counter(message.id for message in reader.received).values())
    log = daemon.log.read_text("utf-8")
    assert not [each for each in (PASSWORD, SECOND_PASSWORD, "Traceback") if each in log]
    changes = ["password" in line["reason"] for line in daemon.log_lines("group_rejoining")].count(True)
    assert 1 == changes, "the new password was not used exactly once, after the connections were closed"


async def _has_all(reader: TopicReader, expected: Counter[tuple[str, str]]) -> bool:
    return not expected - contents(await reader.poll())
