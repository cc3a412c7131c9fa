"""The files of the status page: all are served, with restrictive headers, and none refers to another server."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from zipfile import ZipFile

import aiohttp
import pytest

from collector.web.server import serve_http
from collector.web.static import FILES
from tests.kafka.broker import free_port
from tests.web.scenarios import Scenario

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "collector" / "web" / "page"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    scenario, port = Scenario(), free_port()
    async with serve_http(("127.0.0.1", port), scenario.process_status, scenario.metrics.registry, scenario.clock):
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("path", FILES)
async def test_a_file_is_served_unchanged_and_restricted_to_its_own_scripts(url: str, path: str) -> None:
    name, content_type = FILES[path]
    async with aiohttp.ClientSession() as session, session.get(url + path) as response:
        assert (200, content_type, "utf-8") == (response.status, response.content_type, response.charset)
        assert (FOLDER / name).read_bytes() == await response.read()
        headers = response.headers
    assert ("no-cache", "nosniff") == (headers["Cache-Control"], headers["X-Content-Type-Options"])
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert "'none'" == policy.pop("default-src")
    assert {"'self'", "'none'"} == set(policy.values())
    assert "'none'" == policy["frame-ancestors"]


async def test_the_status_is_compressed_and_never_cached_or_sniffed(url: str) -> None:
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"{url}/api/status", headers={"Accept-Encoding": "gzip"}) as response,
    ):
        headers = response.headers
    assert ("no-cache", "nosniff", "gzip") == tuple(
        headers[name] for name in ("Cache-Control", "X-Content-Type-Options", "Content-Encoding")
    )


def test_every_file_is_served_without_foreign_addresses_and_inline_code() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {name for name, _ in FILES.values()}
    for path in FOLDER.iterdir():
        text = path.read_text("utf-8")
        foreign = set(
            re.findall(r"(?:https?:)?//[\w.]+[\w/]*", re.sub(r"^\s*// .*$| // .*$", "", text, flags=re.MULTILINE))
        )
        assert foreign <= {"http://www.w3.org/2000/svg"}, path.name
        assert "innerHTML" not in text
        assert not re.search(r"<style|style=|\son\w+=|<script(?! type=\"module\" src=)", text), path.name


def test_the_wheel_contains_every_file(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert set() == {f"collector/web/page/{name}" for name, _ in FILES.values()} - names
