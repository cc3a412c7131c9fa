"""What a client may bring to the doors of a guarded broker."""

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
from tests.kafka.secured import MECHANISMS, PASSWORD, USER, SecuredBroker, write

WRONG = "not the pass/word-41"


class Papers:
    """What a client may bring to the door: files in a folder."""

    def __init__(self, home: Path, broker: SecuredBroker) -> None:
        now = datetime.now(UTC)
        stranger = trustme.CA()
        self.authority = broker.authority_file
        self.stranger = home / "stranger.pem"
        stranger.cert_pem.write_to_path(self.stranger)
        issue = broker.authority.issue_cert
        self.own = write(home / "own.pem", issue("collector"))
        self.foreign = write(home / "foreign.pem", stranger.issue_cert("collector"))
        before, after = now - timedelta(days=2), now - timedelta(days=1)
        self.expired = write(home / "expired.pem", issue("collector", not_before=before, not_after=after))


def tls(authority: Path, own: Path | None = None) -> dict[str, Any]:
    pair = {"cert_file": str(own), "key_file": str(own)} if own else {}
    return {"tls": {"ca_file": authority, **pair}}


def sasl(mechanism: str = "SCRAM-SHA-512", password: object = PASSWORD, username: str = USER) -> dict[str, Any]:
    return {"sasl": {"mechanism": mechanism, "username": username, "password": password}}


def ways(papers: Papers) -> list[tuple[str, dict[str, Any]]]:
    """Door and papers of everybody who is let in."""
    right = tls(papers.authority)
    return [
        ("TLS", right),
        ("MUTUAL", tls(papers.authority, papers.own)),
        *(("SASL", sasl(mechanism)) for mechanism in MECHANISMS),
        *(("BOTH", right | sasl(mechanism)) for mechanism in MECHANISMS),
    ]


def configured(daemon: Daemon, given: Mapping[str, Mapping[str, Any]], **keys: str) -> Daemon:
    """With these tables of `[kafka]` too."""
    daemon.configure(**keys)
    lines = [daemon.config.read_text("utf-8")]
    for name, table in given.items():
        lines += [f"[kafka.{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    daemon.config.write_text("\n".join(lines), "utf-8")
    return daemon


def _toml(value: Any) -> str:  # noqa: ANN401 - a text, or a table of some
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    return json.dumps(str(value))


async def checked(config: Path) -> Result:
    """`collector check`, beside the vendor that it asks."""
    return await anyio.to_thread.run_sync(partial(CliRunner().invoke, app, ["check", "--config", str(config)]))


def of_kafka(found: Result) -> str:
    """The line that tells of the brokers; lines come as they are found."""
    (line,) = (line for line in found.stdout.splitlines() if " kafka: " in line)
    return line
