"""Every way to be refused by a guarded Kafka: its cause, and where it is reported."""

from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec import Struct

from collector.config import load
from collector.kafka.diagnosis.brokers import diagnose
from tests.kafka.daemon import Daemon, until
from tests.kafka.secure_broker import MECHANISMS, PASSWORD, USER, SecureBroker, write_pem
from tests.kafka.tls_material import WRONG_PASSWORD, TlsMaterial, kafka_line, run_check, sasl, tls, with_kafka_tables
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio


class Case(Struct, frozen=True):
    """A listener of the broker, tables of [kafka] that do not fit it, and the diagnosis."""

    listener: str
    tables: dict[str, Any]
    code: str
    facts: tuple[str, ...]
    """Parts of the reason."""
    advice: str
    """A part of the advice."""


def cases(broker: SecureBroker, tls_material: TlsMaterial) -> list[Case]:
    right, expired_own = tls(tls_material.ca), tls(tls_material.ca, tls_material.expired_client)
    foreign_own = tls(tls_material.ca, tls_material.client_of_other_ca)
    tls_door, mutual, open_, both = (
        broker.listener("TLS"),
        broker.listener("MTLS"),
        broker.address,
        broker.listener("SASL_TLS"),
    )
    misnamed, expired, plain_sasl = (
        broker.listener("WRONG_HOSTNAME"),
        broker.listener("EXPIRED"),
        broker.listener("SASL"),
    )
    cut, astray = broker.listener("FORWARDED"), broker.listener("MISADVERTISED")
    advertised = astray.replace("localhost", "127.0.0.1")
    by_address = tls_door.replace("localhost", "127.0.0.1")
    untrusted, name, date = "broker_certificate_untrusted", "broker_certificate_name", "broker_certificate_date"
    names = "advertised.listeners"
    return [
        Case(tls_door, tls(tls_material.other_ca), untrusted, (tls_door,), "kafka.tls.ca_file"),
        Case(tls_door, {"tls": {}}, untrusted, (tls_door,), "kafka.tls.ca_file"),
        Case(both, tls(tls_material.other_ca) | sasl(), untrusted, (both,), "kafka.tls.ca_file"),
        Case(misnamed, right, name, (misnamed,), names),
        Case(by_address, right, name, (by_address,), names),
        Case(astray, right, name, (advertised,), names),
        Case(expired, right, date, (expired,), "certificate"),
        Case(mutual, right, "client_certificate_required", (mutual,), "kafka.tls.cert_file"),
        Case(mutual, expired_own, "client_certificate_refused", (mutual, str(tls_material.expired_client)), "renew"),
        Case(
            mutual, foreign_own, "client_certificate_refused", (mutual, str(tls_material.client_of_other_ca)), "renew"
        ),
        Case(open_, right, "tls_not_spoken", (open_,), "remove [kafka.tls]"),
        Case(plain_sasl, right | sasl(), "tls_not_spoken", (plain_sasl,), "remove [kafka.tls]"),
        Case(tls_door, {}, "tls_required", (tls_door,), "add [kafka.tls]"),
        Case(mutual, {}, "tls_required", (mutual,), "add [kafka.tls]"),
        Case(both, sasl(), "tls_required", (both,), "add [kafka.tls]"),
        Case(plain_sasl, {}, "sasl_required", (plain_sasl,), "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"),
        Case(both, right, "sasl_required", (both,), "[kafka.sasl]"),
        Case(cut, right | sasl("PLAIN"), "sasl_mechanism", (cut, "PLAIN"), ": SCRAM-SHA-512"),
        Case(open_, sasl(), "sasl_not_spoken", (open_,), "remove [kafka.sasl]"),
        Case(tls_door, right | sasl(), "sasl_not_spoken", (tls_door,), "remove [kafka.sasl]"),
        *(
            Case(both, right | sasl(each, WRONG_PASSWORD), "credentials_refused", (both, USER, each), "kafka.sasl")
            for each in MECHANISMS
        ),
        Case(
            plain_sasl, sasl("PLAIN", WRONG_PASSWORD), "credentials_refused", (plain_sasl, USER, "PLAIN"), "kafka.sasl"
        ),
        Case(plain_sasl, sasl(username="nobody"), "credentials_refused", (plain_sasl, "nobody"), "kafka.sasl"),
    ]


async def test_every_refusal_is_diagnosed_and_reported_by_check(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    async with serving(Vendor([])) as vendor:
        for case in cases(secure_broker, tls_material):
            daemon = with_kafka_tables(Daemon(tmp_path, case.listener, prefix, vendor), case.tables)

            refused = (await diagnose(load(daemon.config).kafka)).refused
            ended = await run_check(daemon.config)

            assert refused is not None, case
            assert case.code == refused.code, case
            assert all(fact in str(refused) for fact in case.facts), (case, refused)
            assert case.advice in refused.advice, (case, refused.advice)
            assert (1, f"failed kafka: {refused}: {refused.advice}") == (ended.exit_code, kafka_line(ended))
            assert not [each for each in (WRONG_PASSWORD, PASSWORD, "Traceback") if each in ended.output]


BROKEN_FILES = [
    ("ca_file", None, "tls_file_unreadable"),
    ("ca_file", b"", "tls_file_unusable"),
    ("ca_file", b"no PEM", "tls_file_unusable"),
    ("cert_file", None, "tls_file_unreadable"),
    ("key_file", None, "tls_file_unreadable"),
    ("key_file", b"no PEM", "tls_file_unusable"),
]


@pytest.mark.parametrize(("key", "content", "code"), BROKEN_FILES)
async def test_a_file_of_tls_that_cannot_be_used_is_reported_by_its_key_and_path(
    secure_broker: SecureBroker, tls_material: TlsMaterial, tmp_path: Path, key: str, content: bytes | None, code: str
) -> None:
    path = tmp_path / "broken.pem"
    if content is not None:
        path.write_bytes(content)
    await _assert_file_is_reported(secure_broker, tls_material, tmp_path, key, path, code)


async def test_a_key_with_a_password_does_not_wait_for_the_password(
    secure_broker: SecureBroker, tls_material: TlsMaterial, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    write_pem(locked, secure_broker.ca.issue_cert("collector"), password=b"locked")
    await _assert_file_is_reported(secure_broker, tls_material, tmp_path, "key_file", locked, "tls_file_unusable")


async def _assert_file_is_reported(
    broker: SecureBroker, tls_material: TlsMaterial, folder: Path, key: str, path: Path, code: str
) -> None:
    tables = {"tls": {**tls(tls_material.ca, tls_material.client)["tls"], key: str(path)}}
    async with serving(Vendor([])) as vendor:
        daemon = with_kafka_tables(Daemon(folder, broker.listener("MTLS"), "t-", vendor), tables)
        refused = (await diagnose(load(daemon.config).kafka)).refused
        ended = await run_check(daemon.config)

    assert refused is not None
    assert code == refused.code
    assert f"kafka.tls.{key} {path}" in str(refused)
    assert (1, f"failed kafka: {refused}: {refused.advice}") == (ended.exit_code, kafka_line(ended))


async def test_run_reports_a_refusal_in_readyz_and_once_in_the_log(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    """The daemon continues, and ends cleanly."""
    last = {case.listener: case for case in cases(secure_broker, tls_material)}
    async with serving(Vendor([])) as vendor, anyio.create_task_group() as tasks:
        for listener in (
            secure_broker.listener("WRONG_HOSTNAME"),
            secure_broker.listener("EXPIRED"),
            secure_broker.listener("SASL_TLS"),
        ):
            daemon = with_kafka_tables(Daemon(tmp_path, listener, prefix, vendor), last[listener].tables)
            tasks.start_soon(_reports, daemon, last[listener])


async def _reports(daemon: Daemon, case: Case) -> None:
    try:
        daemon.start()

        async def is_reported() -> bool:
            status, text = await daemon.get("/readyz")
            return status == 503 and case.advice in text and all(fact in text for fact in case.facts)

        await until(is_reported, f"not ready: {case.code}")
        assert (200, "ok\n") == await daemon.get("/healthz")
        await anyio.to_thread.run_sync(daemon.stop)
    finally:
        daemon.close()
    log = daemon.log.read_text("utf-8")
    (line,) = (line for line in log.splitlines() if "kafka_refused" in line)
    assert all(fact in line for fact in case.facts)
    assert not [each for each in (WRONG_PASSWORD, PASSWORD, "Traceback") if each in log]
