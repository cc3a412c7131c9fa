"""Warnings at the start: the daemon listens beyond loopback, or a secret is too short to be redacted."""

import json
from pathlib import Path

import anyio
import pytest

from collector.web.settings import HttpSettings
from tests.kafka.daemon import Daemon, until
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio


def test_the_default_address_is_loopback() -> None:
    assert HttpSettings().is_loopback


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("127.0.0.1:9464", True),
        ("127.8.9.1:9464", True),
        ("localhost:9464", True),
        ("[::1]:9464", True),
        ("0.0.0.0:9464", False),
        ("[::]:9464", False),
        ("192.0.2.7:9464", False),
        ("collector.example:9464", False),
    ],
)
def test_whether_an_address_is_loopback(listen: str, expected: bool) -> None:
    assert expected == HttpSettings(listen=listen).is_loopback


@pytest.mark.parametrize("listen", ["127.0.0.1", "127.1", "0.0.0.0"])  # noqa: S104
async def test_listening_beyond_loopback_is_logged(tmp_path: Path, listen: str) -> None:
    async with serving(Vendor([])) as vendor:
        daemon = Daemon(tmp_path, "127.0.0.1:1", "none-", vendor)
        text = daemon.config.read_text("utf-8")
        daemon.config.write_text(text.replace(f'"127.0.0.1:{daemon.port}"', f'"{listen}:{daemon.port}"'), "utf-8")
        try:
            daemon.start()
            await until(lambda: _responds(daemon), "the daemon responds")
            await anyio.to_thread.run_sync(daemon.stop)
        finally:
            daemon.close()
    lines = [line for line in daemon.log_lines() if line["event"] == "listening_beyond_loopback"]
    assert [f"{listen}:{daemon.port}"] * (not listen.startswith("127.")) == [line["listen"] for line in lines]
    assert {"warning"} >= {line["level"] for line in lines}


async def test_secrets_that_are_too_short_to_be_redacted_are_logged_by_their_keys(tmp_path: Path) -> None:
    async with serving(Vendor([])) as vendor:
        daemon = Daemon(tmp_path, "127.0.0.1:1", "none-", vendor, user_key='"abc"')
        try:
            daemon.start()
            await until(lambda: _responds(daemon), "the daemon responds")
            status, body = await daemon.get("/api/status")
            await anyio.to_thread.run_sync(daemon.stop)
        finally:
            daemon.close()
    assert (200, "mall") == (status, json.loads(body)["streams"][0]["source"])
    (line,) = [line for line in daemon.log_lines() if line["event"] == "secrets_not_concealed"]
    assert ["sources.mall.user_key"] == line["keys"]
    assert "abc" not in json.dumps(line)


async def _responds(daemon: Daemon) -> bool:
    return (await daemon.get("/healthz"))[0] == 200
