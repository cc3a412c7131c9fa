"""docs/getting-started.md, typed in from its first command to its last: with a simulated account, and a real Kafka."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from collector.commands.simulate import world
from collector.config import load
from collector.simulator import seemetrix
from collector.simulator.server import serving
from tests.docs.pages import DOCS, ROOT, fenced
from tests.kafka.broker import free_port
from tests.needs import absent, need

pytestmark = pytest.mark.anyio

PAGE = (DOCS / "getting-started.md").read_text("utf-8")
WITHIN_S = 120


def checkout(folder: Path) -> None:
    """As far as the commands look at it."""
    for name in ("Makefile", "pyproject.toml", "requirements", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)


def typed(instead: Mapping[str, str]) -> str:
    """All commands, with what is different here."""
    script = "".join(fenced(PAGE, "sh"))
    for text, here in instead.items():
        assert text in script
        script = script.replace(text, here)
    return script


def run(script: str, folder: Path, said: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Type it into a shell; whatever it leaves behind ends with it. Its logs stand behind its errors."""
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    # What runs this was made by `make setup`; here it only says what it would do.
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
        with suppress(subprocess.TimeoutExpired):  # what it said by then is looked at
            shell.communicate(f"{said}\n", timeout=WITHIN_S)
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    out, err = ((folder / name).read_text("utf-8") for name in ("out", "err"))
    logs = [log.read_text("utf-8") for log in folder.glob("*.log")]
    return subprocess.CompletedProcess(command, shell.returncode, out, "\n".join([err, *logs]))


async def test_every_command_does_what_the_page_says(kafka: str, prefix: str, tmp_path: Path) -> None:
    need("CURL", absent("curl"))
    need("KCAT", absent("kcat"))
    checkout(tmp_path)
    http = f"127.0.0.1:{free_port()}"
    ago = datetime.now(UTC) - timedelta(hours=6)
    instead = {
        "localhost:9092": kafka,
        "127.0.0.1:9464": http,
        "try.": prefix,
        "2026-11-23T00:00:00Z": f"{ago:%Y-%m-%dT%H:%M:%SZ}",
    }
    simulated = world(seed=1, devices=3, rate=120.0, fast=True)
    async with serving(simulated, host="127.0.0.1", port=0) as vendors:
        environment = {
            "COLLECTOR__SOURCES__MALL__BASE_URL": vendors.url("seemetrix"),
            "COLLECTOR__KAFKA__GROUP": f"{prefix}group",
            "COLLECTOR__HTTP__LISTEN": http,
        }
        done = await anyio.to_thread.run_sync(lambda: run(typed(instead), tmp_path, seemetrix.KEY, **environment))

    told = f"{done.stdout}\n{done.stderr}"
    assert 0 == done.returncode, told
    assert 3 == done.stdout.count('{"topic":"seemetrix.'), told
    assert 3 == done.stdout.count("ce_type=seemetrix.session.v1"), told
    for line in ("ok     kafka: ", "ok     sources.mall: ", "ready\n", "\nmall    sessions"):
        assert line in done.stdout, told
    assert seemetrix.KEY not in told
    with closing(sqlite3.connect(tmp_path / "mall.db")) as database:
        assert 0 < database.execute("SELECT count(*) FROM events").fetchone()[0]


def test_the_source_of_the_other_vendor_is_right(tmp_path: Path) -> None:
    (source,) = fenced(PAGE, "toml")
    path = tmp_path / "config.toml"
    path.write_text(source, "utf-8")

    assert {"airport"} == load(path).sources.keys()
