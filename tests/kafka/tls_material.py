"""Certificates and `[kafka]` tables with which clients connect to a `SecureBroker`."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import trustme
from typer.testing import CliRunner, Result

from collector.cli import app
from tests.kafka.daemon import Daemon
from tests.kafka.secure_broker import MECHANISMS, PASSWORD, USER, SecureBroker, write_pem

WRONG_PASSWORD = "not the pass/word-41"


class TlsMaterial:
    """PEM files of CA certificates, and of client certificates with their keys."""

    def __init__(self, home: Path, broker: SecureBroker) -> None:
        now = datetime.now(UTC)
        other_ca = trustme.CA()
        self.ca = broker.ca_file
        self.other_ca = home / "other-ca.pem"
        other_ca.cert_pem.write_to_path(self.other_ca)
        issue = broker.ca.issue_cert
        self.client = write_pem(home / "client-certificate.pem", issue("collector"))
        self.client_of_other_ca = write_pem(home / "client-of-other-ca.pem", other_ca.issue_cert("collector"))
        before, after = now - timedelta(days=2), now - timedelta(days=1)
        expired = issue("collector", not_before=before, not_after=after)
        self.expired_client = write_pem(home / "expired-client.pem", expired)


def tls(ca: Path, client: Path | None = None) -> dict[str, Any]:
    """The table `[kafka.tls]`."""
    pair = {"cert_file": str(client), "key_file": str(client)} if client else {}
    return {"tls": {"ca_file": ca, **pair}}


def sasl(mechanism: str = "SCRAM-SHA-512", password: object = PASSWORD, username: str = USER) -> dict[str, Any]:
    """The table `[kafka.sasl]`."""
    return {"sasl": {"mechanism": mechanism, "username": username, "password": password}}


def valid_settings(tls_material: TlsMaterial) -> list[tuple[str, dict[str, Any]]]:
    """Listeners, each with tables of `[kafka]` with which it accepts a client."""
    trusted = tls(tls_material.ca)
    return [
        ("TLS", trusted),
        ("MTLS", tls(tls_material.ca, tls_material.client)),
        *(("SASL", sasl(mechanism)) for mechanism in MECHANISMS),
        *(("SASL_TLS", trusted | sasl(mechanism)) for mechanism in MECHANISMS),
    ]


def with_kafka_tables(daemon: Daemon, tables: Mapping[str, Mapping[str, Any]], **keys: str) -> Daemon:
    """The daemon, with these tables of `[kafka]` added to its configuration; `keys` as in `Daemon.configure`."""
    daemon.configure(**keys)
    lines = [daemon.config.read_text("utf-8")]
    for name, table in tables.items():
        lines += [f"[kafka.{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    daemon.config.write_text("\n".join(lines), "utf-8")
    return daemon


def _toml(value: Any) -> str:  # noqa: ANN401 - a text, or a table of some
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(str(value))


async def run_check(config: Path) -> Result:
    """The result of `collector check`, in a thread: it polls a vendor that runs in this event loop."""
    return await anyio.to_thread.run_sync(partial(CliRunner().invoke, app, ["check", "--config", str(config)]))


def kafka_line(result: Result) -> str:
    """The only line of the output of `collector check` that is about the brokers."""
    (line,) = (line for line in result.stdout.splitlines() if " kafka: " in line)
    return line
