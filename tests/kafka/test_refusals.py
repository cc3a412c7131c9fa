"""Every way to be refused by a guarded Kafka: said in words, with what to do about it."""

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.kafka.daemon import Daemon, until
from tests.kafka.secure_broker import MECHANISMS, PASSWORD, USER, SecureBroker, write_pem
from tests.kafka.tls_material import WRONG_PASSWORD, TlsMaterial, kafka_line, run_check, sasl, tls, with_kafka_tables
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio


def refusals(broker: SecureBroker, tls_material: TlsMaterial) -> list[tuple[str, dict[str, Any], str, str]]:
    """Listener, tls_material, what is said, and what is advised."""
    right, nobody = tls(tls_material.ca), tls(tls_material.ca, tls_material.expired_client)
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
    led_to = astray.replace("localhost", "127.0.0.1")
    by_address = tls_door.replace("localhost", "127.0.0.1")
    untrusted = "is not trusted: unable to get local issuer certificate"
    refused = f"refuses the user {USER} or the password, with"
    for_another = "name the broker as its certificate does, in kafka.bootstrap_servers and in advertised.listeners"
    ca_file, renew = "put the authority that signed it into kafka.tls.ca_file", "renew it: it must be in date"
    return [
        (tls_door, tls(tls_material.other_ca), f"the certificate of {tls_door} {untrusted}", ca_file),
        (tls_door, {"tls": {}}, f"the certificate of {tls_door} {untrusted}", ca_file),
        (both, tls(tls_material.other_ca) | sasl(), f"the certificate of {both} {untrusted}", ca_file),
        (misnamed, right, f"the certificate of {misnamed} is for another name", for_another),
        (by_address, right, f"the certificate of {by_address} is for another name", for_another),
        (astray, right, f"the certificate of {led_to} is for another name", for_another),
        (expired, right, f"the certificate of {expired} has expired", "renew the broker's certificate"),
        (mutual, right, f"{mutual} asks for a client's certificate", "set kafka.tls.cert_file and kafka.tls.key_file"),
        (mutual, nobody, f"{mutual} refuses the certificate in {tls_material.expired_client}", renew),
        (mutual, tls(tls_material.ca, tls_material.client_of_other_ca), f"{mutual} refuses the certificate in", renew),
        (open_, right, f"{open_} does not speak TLS", "remove [kafka.tls], or name the port that speaks TLS"),
        (plain_sasl, right | sasl(), f"{plain_sasl} does not speak TLS", "remove [kafka.tls]"),
        (tls_door, {}, f"{tls_door} speaks TLS", "add [kafka.tls]"),
        (mutual, {}, f"{mutual} speaks TLS", "add [kafka.tls]"),
        (both, sasl(), f"{both} speaks TLS", "add [kafka.tls]"),
        (plain_sasl, {}, f"{plain_sasl} asks for a user and a password", "mechanisms: PLAIN, SCRAM-SHA-256, SCRAM-SH"),
        (both, right, f"{both} asks for a user and a password", "add [kafka.sasl], with one of these mechanisms"),
        (cut, right | sasl("PLAIN"), f"{cut} does not take PLAIN", "to one of these: SCRAM-SHA-512"),
        (open_, sasl(), f"{open_} asks for no user and no password", "remove [kafka.sasl]"),
        (tls_door, right | sasl(), f"{tls_door} asks for no user and no password", "remove [kafka.sasl]"),
        *(
            (both, right | sasl(each, WRONG_PASSWORD), f"{both} {refused} {each}", "correct kafka.sasl")
            for each in MECHANISMS
        ),
        (plain_sasl, sasl("PLAIN", WRONG_PASSWORD), f"{plain_sasl} {refused} PLAIN", "correct kafka.sasl"),
        (plain_sasl, sasl(username="nobody"), f"{plain_sasl} refuses the user nobody or", "correct kafka.sasl"),
    ]


async def test_check_says_of_everybody_else_what_is_wrong_and_what_to_do(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    async with serving(Vendor([])) as vendor:
        for kafka, given, said, advice in refusals(secure_broker, tls_material):
            daemon = with_kafka_tables(Daemon(tmp_path, kafka, prefix, vendor), given)

            ended = await run_check(daemon.config)

            line = kafka_line(ended)
            assert (1, f"failed kafka: {said}") == (ended.exit_code, line[: len(f"failed kafka: {said}")])
            assert advice in line
            assert not [each for each in (WRONG_PASSWORD, PASSWORD, "Traceback") if each in ended.output]


BROKEN_FILES = [
    ("ca_file", None, "cannot be read: No such file or directory: put it there"),
    ("ca_file", b"", "cannot be used: "),
    ("ca_file", b"no PEM", "cannot be used: "),
    ("cert_file", None, "cannot be read: No such file or directory: put it there"),
    ("key_file", None, "cannot be read: No such file or directory: put it there"),
    ("key_file", b"no PEM", "cannot be used: "),
]


@pytest.mark.parametrize(("key", "content", "expected"), BROKEN_FILES)
async def test_a_file_of_tls_that_is_not_right_is_told_by_its_key(
    secure_broker: SecureBroker,
    tls_material: TlsMaterial,
    tmp_path: Path,
    key: str,
    content: bytes | None,
    expected: str,
) -> None:
    path = tmp_path / "broken.pem"
    if content is not None:
        path.write_bytes(content)
    given = {"tls": {**tls(tls_material.ca, tls_material.client)["tls"], key: str(path)}}
    async with serving(Vendor([])) as vendor:
        kafka = secure_broker.listener("MTLS")
        ended = await run_check(with_kafka_tables(Daemon(tmp_path, kafka, "t-", vendor), given).config)

    line = kafka_line(ended)
    assert line.startswith(f"failed kafka: kafka.tls.{key} {path} {expected}")


async def test_a_key_that_asks_for_a_password_is_not_waited_for(
    secure_broker: SecureBroker, tls_material: TlsMaterial, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.pem"
    write_pem(locked, secure_broker.ca.issue_cert("collector"), password=b"locked")
    given = {"tls": {**tls(tls_material.ca, tls_material.client)["tls"], "key_file": str(locked)}}
    async with serving(Vendor([])) as vendor:
        kafka = secure_broker.listener("MTLS")
        ended = await run_check(with_kafka_tables(Daemon(tmp_path, kafka, "t-", vendor), given).config)

    line = kafka_line(ended)
    assert line.startswith(f"failed kafka: kafka.tls.key_file {locked} cannot be used: ")
    assert line.endswith("a key without a password, that belongs to cert_file")


async def test_run_says_so_too_where_one_looks(
    secure_broker: SecureBroker, tls_material: TlsMaterial, prefix: str, tmp_path: Path
) -> None:
    """In /readyz and in the log, once; it lives on, and ends cleanly."""
    cases = {kafka: (given, said, advice) for kafka, given, said, advice in refusals(secure_broker, tls_material)}
    async with serving(Vendor([])) as vendor, anyio.create_task_group() as tasks:
        for kafka in (
            secure_broker.listener("WRONG_HOSTNAME"),
            secure_broker.listener("EXPIRED"),
            secure_broker.listener("SASL_TLS"),
        ):
            daemon = with_kafka_tables(Daemon(tmp_path, kafka, prefix, vendor), cases[kafka][0])
            tasks.start_soon(_says_so, daemon, *cases[kafka][1:])


async def _says_so(daemon: Daemon, said: str, advice: str) -> None:
    try:
        daemon.start()

        async def told() -> bool:
            code, text = await daemon.get("/readyz")
            return code == 503 and text.startswith(said) and advice in text

        await until(told, f"not ready: {said}")
        assert (200, "ok\n") == await daemon.get("/healthz")
        await anyio.to_thread.run_sync(daemon.stop)
    finally:
        daemon.close()
    log = daemon.log.read_text("utf-8")
    assert 1 == log.count('"event":"kafka_refused"') + log.count('"event": "kafka_refused"')
    assert said in log
    assert not [each for each in (WRONG_PASSWORD, PASSWORD, "Traceback") if each in log]
