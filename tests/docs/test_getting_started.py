"""The commands of docs/getting-started.md work in their order, and print what the page says, with a real Kafka."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path

import pytest
from msgspec import Struct

from collector.config import load
from collector.simulator import seemetrix, vidicenter
from tests.docs.pages import DOCS, ROOT, fenced, tables
from tests.kafka.broker import free_port
from tests.needs import absent, need

PAGE = (DOCS / "getting-started.md").read_text("utf-8")
VARIES = "…"
"""What the page prints instead of a varying part of a line, or of further lines."""
MARK = "@@@"
TIMEOUT_S = 120
_BLOCK = re.compile(r"^```sh\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
_HERE_DOCUMENT = re.compile(r"^cat > (\w+\.toml) <<END\n(.*?)^END$", re.MULTILINE | re.DOTALL)


class Block(Struct, frozen=True):
    """Commands of the page, and the lines that they print there; None if the page has no output below them."""

    commands: str
    lines: list[str] | None


def blocks(page: str) -> Iterator[Block]:
    for commands, output in _BLOCK.findall(page):
        yield Block(commands, output.splitlines() or None)


def differences(expected: list[str], printed: list[str]) -> list[str]:
    """Return the lines that are only expected, as `- line`, and those that are only printed, as `+ line`.

    Their order does not matter: checks end in any order. An expected line with nothing but VARIES allows further ones.
    """
    rest, missing = [line for line in printed if line], []
    for line in expected:
        pattern = re.escape(line).replace(VARIES, ".*")
        found = next((other for other in rest if re.fullmatch(pattern, other)), None)
        if line == VARIES:
            continue
        if found is None:
            missing.append(f"- {line}")
        else:
            rest.remove(found)
    return [*missing, *(f"+ {line}" for line in rest if VARIES not in expected)]


def link_checkout(folder: Path) -> None:
    """Make the parts of the checkout that the commands use available in a folder."""
    for name in ("Makefile", "pyproject.toml", "requirements", "docs"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)


def replaced(text: str, replacements: Mapping[str, str]) -> str:
    """Return a text of the page with other addresses and names."""
    return re.sub("|".join(map(re.escape, replacements)), lambda found: replacements[found[0]], text)


def run(script: str, folder: Path, stdin: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a script, and kill the processes that it leaves behind. `stdout` of the result includes stderr."""
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    # `make setup` has made the environment of this test, so here make only prints its commands.
    surroundings |= {"MAKEFLAGS": "--dry-run", "COLUMNS": "200", "PYTHONPATH": str(ROOT), **environment}
    command = ["bash", "-euo", "pipefail", "-c", script]
    with (folder / "out").open("w") as output:
        shell = subprocess.Popen(
            command,
            cwd=folder,
            env=surroundings,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with suppress(subprocess.TimeoutExpired):  # the output until then is returned
            shell.communicate(f"{stdin}\n", timeout=TIMEOUT_S)
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    logs = [log.read_text("utf-8") for log in folder.glob("*.log")]
    return subprocess.CompletedProcess(command, shell.returncode, (folder / "out").read_text("utf-8"), "\n".join(logs))


def typed_commands() -> dict[str, str]:
    """Return the commands of the page that ask for a secret, by its environment variable."""
    (row,) = (row for table in tables(PAGE) for row in table.rows if row[0].startswith("instead of"))
    return {re.findall(r"export (\w+)", cell)[0]: cell.strip("`") for cell in row[1:]}


def test_the_commands_of_the_page_print_what_it_says(kafka: str, prefix: str, tmp_path: Path) -> None:
    """One of the two secrets is typed, as that of a real account."""
    need("CURL", absent("curl"))
    need("KCAT", absent("kcat"))
    link_checkout(tmp_path)
    vendors = f"127.0.0.1:{free_port()}"
    replacements = {
        "localhost:9092": kafka,
        "127.0.0.1:9464": (http := f"127.0.0.1:{free_port()}"),
        "127.0.0.1:8864": vendors,
        "collector simulate": f"collector simulate --listen {vendors}",
        f"export VIDICENTER_TOKEN={vidicenter.TOKEN}": typed_commands()["VIDICENTER_TOKEN"],
        "ids: collector-": f"ids: {prefix}group-",
        "group collector:": f"group {prefix}group:",
        "try.": prefix,
    }
    assert [] == [text for text in replacements if text not in PAGE]
    steps = list(blocks(PAGE))
    script = "".join(f"echo {MARK}\n{replaced(each.commands, replacements)}" for each in steps)

    environment = {"COLLECTOR__KAFKA__GROUP": f"{prefix}group", "COLLECTOR__HTTP__LISTEN": http}
    done = run(script, tmp_path, vidicenter.TOKEN, **environment)

    assert 0 == done.returncode, f"{done.stdout}\n{done.stderr}"
    outputs = done.stdout.split(f"{MARK}\n")[1:]
    for step, printed in zip(steps, outputs, strict=True):
        if step.lines is not None:
            expected = [replaced(line, replacements) for line in step.lines]
            assert [] == differences(expected, printed.splitlines()), step.commands
    assert vidicenter.TOKEN not in done.stdout + done.stderr
    with closing(sqlite3.connect(tmp_path / "mall.db")) as database:
        assert 0 < database.execute("SELECT count(*) FROM events").fetchone()[0]


@pytest.mark.parametrize("name", ["mall", "airport"])
def test_a_configuration_without_the_simulator_is_valid(name: str, tmp_path: Path) -> None:
    texts = dict(_HERE_DOCUMENT.findall(PAGE))
    text, removed = re.subn(r"^base_url = .*\n", "", texts[f"{name}.toml"], flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(text.replace("${yesterday}", "2026-11-23"), "utf-8")

    assert 1 == removed
    assert {name} == load(path).sources.keys()


def test_the_zone_of_the_page_can_be_added_to_its_source(tmp_path: Path) -> None:
    (zone,) = fenced(PAGE, "toml")
    text = dict(_HERE_DOCUMENT.findall(PAGE))["airport.toml"].replace("${yesterday}", "2026-11-23")
    path = tmp_path / "config.toml"
    path.write_text(f"{text}\n{zone}", "utf-8")

    assert {"airport"} == load(path).sources.keys()


def test_the_page_uses_the_simulated_accounts() -> None:
    assert f"SEEMETRIX_USER_KEY={seemetrix.KEY}\n" in PAGE
    assert f"\nuser_id = {seemetrix.USER}\n" in PAGE
    assert f"VIDICENTER_TOKEN={vidicenter.TOKEN}\n" in PAGE


@pytest.mark.parametrize(
    ("expected", "printed", "found"),
    [
        (["ok a", "ok b"], ["ok b", "", "ok a"], []),
        (["ok …"], ["ok a"], []),
        (["ok …"], ["failed a"], ["- ok …", "+ failed a"]),
        (["ok a"], ["ok a", "warn b"], ["+ warn b"]),
        (["ok a", "…"], ["ok a", "warn b"], []),
        (["ok a", "…"], ["warn b"], ["- ok a"]),
        (["a…", "a…"], ["ab"], ["- a…"]),
    ],
)
def test_differences_are_found(expected: list[str], printed: list[str], found: list[str]) -> None:
    assert found == differences(expected, printed)
