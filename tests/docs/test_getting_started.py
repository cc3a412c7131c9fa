"""The commands of docs/getting-started.md work in their order, with a simulated account and a real Kafka."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent

import anyio
import pytest

from collector.commands.simulate import make_world
from collector.config import load
from collector.simulator import seemetrix
from collector.simulator.server import serving
from tests.docs.pages import DOCS, ROOT, fenced
from tests.kafka.broker import free_port
from tests.needs import absent, need

pytestmark = pytest.mark.anyio

PAGE = (DOCS / "getting-started.md").read_text("utf-8")
PREFIX, SINCE = (re.findall(rf"^{key} = (.+)$", PAGE, re.MULTILINE)[0].strip('"') for key in ("topic_prefix", "since"))
TIMEOUT_S = 120


def link_checkout(folder: Path) -> None:
    """Make the parts of the checkout that the commands use available in a folder."""
    for name in ("Makefile", "pyproject.toml", "requirements", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)


def commands(replacements: Mapping[str, str]) -> str:
    """Return the commands of the page as one script, with texts replaced."""
    script = "".join(fenced(PAGE, "sh"))
    for text, replacement in replacements.items():
        assert text in script
        script = script.replace(text, replacement)
    return script


def run(script: str, folder: Path, stdin: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a script, and kill the processes that it leaves behind. `stderr` of the result includes the log files."""
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    # `make setup` has made the environment of this test, so here make only prints its commands.
    surroundings |= {"MAKEFLAGS": "--dry-run", "COLUMNS": "200", **environment}
    command = ["bash", "-euo", "pipefail", "-c", script]
    with (folder / "out").open("w") as stdout, (folder / "err").open("w") as stderr:
        shell = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):  # the output until then is returned
            shell.communicate(f"{stdin}\n", timeout=TIMEOUT_S)
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    out, err = ((folder / name).read_text("utf-8") for name in ("out", "err"))
    logs = [log.read_text("utf-8") for log in folder.glob("*.log")]
    return subprocess.CompletedProcess(command, shell.returncode, out, "\n".join([err, *logs]))


async def test_every_command_of_the_page_works(kafka: str, prefix: str, tmp_path: Path) -> None:
    need("CURL", absent("curl"))
    need("KCAT", absent("kcat"))
    link_checkout(tmp_path)
    http = f"127.0.0.1:{free_port()}"
    ago = datetime.now(UTC) - timedelta(hours=6)
    replacements = {
        "localhost:9092": kafka,
        "127.0.0.1:9464": http,
        PREFIX: prefix,
        SINCE: f"{ago:%Y-%m-%dT%H:%M:%SZ}",
    }
    simulated = make_world(seed=1, devices=3, rate=120.0, fast=True)
    async with serving(simulated, host="127.0.0.1", port=0) as vendors:
        environment = {
            "COLLECTOR__SOURCES__MALL__BASE_URL": vendors.url("seemetrix"),
            "COLLECTOR__KAFKA__GROUP": f"{prefix}group",
            "COLLECTOR__HTTP__LISTEN": http,
        }
        done = await anyio.to_thread.run_sync(
            lambda: run(commands(replacements), tmp_path, seemetrix.KEY, **environment)
        )

    output = f"{done.stdout}\n{done.stderr}"
    assert 0 == done.returncode, output
    assert 3 == done.stdout.count(f'{{"topic":"{prefix}seemetrix.'), output
    assert 3 == done.stdout.count("ce_type=seemetrix.session.v1"), output
    for line in (r"^ok +kafka: ", r"^ok +sources\.mall: ", r"^ready$", r"^mall +sessions "):
        assert re.search(line, done.stdout, re.MULTILINE), output
    assert not re.search(r"^failed", done.stdout, re.MULTILINE), output
    assert seemetrix.KEY not in output
    with closing(sqlite3.connect(tmp_path / "mall.db")) as database:
        assert 0 < database.execute("SELECT count(*) FROM events").fetchone()[0]


def test_the_configuration_of_the_other_vendor_is_valid(tmp_path: Path) -> None:
    source, zone = fenced(PAGE, "toml")
    path = tmp_path / "config.toml"
    path.write_text(source + dedent(zone), "utf-8")

    assert {"airport"} == load(path).sources.keys()
