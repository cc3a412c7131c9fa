"""The status of the running daemon shows the proxy of each source, but neither its user nor its password."""

import json
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import anyio
import pytest

from tests.kafka.daemon import Daemon, until
from tests.vendor import Vendor, serving

pytestmark = pytest.mark.anyio

USER, PASSWORD = "the-proxy-user", "the-proxy-p@ssword/+"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the proxy of this machine from the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


async def responses(home: Path, **environment: str) -> dict[str, str]:
    """The bodies that the daemon sends with these variables, by path, and its log."""
    async with serving(Vendor([])) as vendor:
        daemon = Daemon(home, "127.0.0.1:1", "none-", vendor)
    remote = """
[sources.remote]
vendor = "seemetrix"
base_url = "https://vendor.example/api"
user_id = 865
user_key = "0123456789abcdef"
"""
    daemon.config.write_text(daemon.config.read_text("utf-8") + remote, "utf-8")
    try:
        daemon.start(**environment)
        await until(lambda: _responds(daemon), "the daemon responds")
        found = {path: (await daemon.get(path))[1] for path in ("/api/status", "/metrics", "/readyz", "/")}
        await anyio.to_thread.run_sync(daemon.stop)
    finally:
        daemon.close()
    return found | {"log": daemon.log.read_text("utf-8")}


def proxies(found: dict[str, str]) -> dict[str, str | None]:
    return {each["source"]: each["proxy"] for each in json.loads(found["/api/status"])["sources"]}


async def test_the_proxy_of_a_source_is_in_the_status_without_its_credentials(tmp_path: Path) -> None:
    found = await responses(tmp_path, HTTPS_PROXY=f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:1")

    assert {"mall": None, "remote": "127.0.0.1:1 (HTTPS_PROXY)"} == proxies(found)
    basic = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    for secret in (USER, PASSWORD, quote(PASSWORD, safe=""), basic):
        assert [] == [where for where, text in found.items() if secret in text]


async def test_a_variable_that_is_not_the_url_of_a_proxy_does_not_end_the_daemon(tmp_path: Path) -> None:
    found = await responses(tmp_path, HTTPS_PROXY=f"socks5://{USER}:secretive@127.0.0.1:1")

    assert {"mall": None, "remote": None} == proxies(found)
    assert [] == [where for where, text in found.items() if USER in text or "secretive" in text]


async def _responds(daemon: Daemon) -> bool:
    return (await daemon.get("/healthz"))[0] == 200
