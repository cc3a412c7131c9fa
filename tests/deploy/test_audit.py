"""`make audit` finds known vulnerabilities in requirements/run.txt, and none is known now."""

import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.commands.harness import closed_port
from tests.deploy.run_lock import locked_for
from tests.needs import need

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120
"""The maximum time of a complete audit: one short query for each package."""
ADVISORY = {
    "id": "GHSA-0000-0000-0000",
    "summary": "Invented",
    "affected": [{"package": {"name": "aiohttp", "ecosystem": "PyPI"}, "versions": []}],
}


class Database(ThreadingHTTPServer):
    """A replacement for the OSV database that knows a vulnerability of aiohttp."""

    def __init__(self, status: int = 200, *, hangs: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Query)
        self.status, self.hangs, self.stopped = status, hangs, threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def response(self, name: str) -> dict[str, Any]:
        if self.hangs:
            self.stopped.wait(TIMEOUT_S)
        return {"vulns": [ADVISORY]} if name == "aiohttp" else {}


class _Query(BaseHTTPRequestHandler):
    server: Database

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(self.server.response(query["package"]["name"])).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    with Database(**getattr(request, "param", {})) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.stopped.set()
        server.shutdown()
        thread.join()


def command(*arguments: str) -> list[str]:
    """Return what `make audit` runs, with the programs of this environment."""
    make = ["make", "--no-print-directory", "--dry-run", "audit", f"ARGS={shlex.join(arguments)}"]
    last = subprocess.run(make, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    program, *options = shlex.split(last)
    return [str(Path(sys.executable).with_name(Path(program).name)), *options]


def audited(cache: Path, *arguments: str) -> tuple[dict[str, list[str]], str]:
    """Return the ids of vulnerabilities by package, or why the database cannot be queried."""
    run = command("--format=json", f"--cache-dir={cache}", *arguments)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDEVMODE"}
    environment["NO_PROXY"] = "127.0.0.1"
    try:
        done = subprocess.run(
            run, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return {}, f"no result within {TIMEOUT_S} seconds"
    if not done.stdout:
        return {}, done.stderr.splitlines()[-1].rpartition("): ")[2].removesuffix('"))')
    found = {
        each["name"]: [vulnerability["id"] for vulnerability in each["vulns"]]
        for each in json.loads(done.stdout)["dependencies"]
    }
    assert done.returncode == any(found.values())
    return found, ""


def test_no_vulnerability_of_a_package_in_the_image_is_known(tmp_path: Path) -> None:
    found, reason = audited(tmp_path)
    need("ADVISORIES", reason)

    vulnerable = {name: ids for name, ids in found.items() if ids}
    assert not vulnerable, "upgrade the packages with `make lock`; CONTRIBUTING.md says what to do without a fix"


def test_all_packages_are_looked_up_and_a_vulnerability_is_reported(database: Database, tmp_path: Path) -> None:
    found, reason = audited(tmp_path, f"--osv-url={database.url}")

    assert not reason
    assert {each.name for each in locked_for()} == set(found)
    assert {"aiohttp": [ADVISORY["id"]]} == {name: ids for name, ids in found.items() if ids}


def test_an_accepted_advisory_is_not_reported(database: Database, tmp_path: Path) -> None:
    found, _ = audited(tmp_path, f"--osv-url={database.url}", f"--ignore-vuln={ADVISORY['id']}")

    assert found
    assert not any(found.values())


@pytest.mark.parametrize("database", [{"status": 500}, {"hangs": True}], indirect=True, ids=["fails", "hangs"])
def test_a_database_that_does_not_respond_is_no_result(database: Database, tmp_path: Path) -> None:
    found, reason = audited(tmp_path, f"--osv-url={database.url}", "--timeout=1")

    assert not found
    assert reason


def test_a_database_that_cannot_be_reached_is_no_result(tmp_path: Path) -> None:
    found, reason = audited(tmp_path, f"--osv-url=http://127.0.0.1:{closed_port()}/")

    assert not found
    assert reason
