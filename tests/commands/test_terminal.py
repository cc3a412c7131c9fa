"""What people see at a terminal while they wait, and that nothing of it is in files and pipes."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.commands.harness import collector
from tests.commands.simulating import simulating
from tests.commands.terminal import Terminal
from tests.commands.test_demo import needs_the_broker

ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
INTERRUPT = "\x03"
PREVIEW = ("preview", "airport", "viewers", "--last", "6h", "--limit", "20")


@contextmanager
def silent() -> Iterator[str]:
    """The address of something that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def configured(folder: Path, address: str) -> tuple[str, str]:
    """The option for a configuration in which everything is at that address."""
    path = folder / "config.toml"
    path.write_text(
        f"""
[kafka]
bootstrap_servers = "{address}"
[sources.mall]
vendor = "seemetrix"
base_url = "http://{address}/api"
user_id = 864
user_key = "the-key"
""",
        "utf-8",
    )
    return "--config", str(path)


def simulated(folder: Path, printed: str) -> tuple[str, str]:
    path = folder / "simulated.toml"
    path.write_text(printed, "utf-8")
    return "--config", str(path)


@pytest.mark.parametrize(
    ("command", "waits"),
    [
        (("check",), "waiting for sources.mall, kafka"),
        (("preview", "mall", "sessions"), "asking"),
        (("state", "show"), "asking the brokers"),
        (("state", "init"), "looking at the topics"),
        (("state", "rewind", "mall", "sessions", "--to", "2026-11-01T00:00:00Z"), "asking the brokers"),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, tuple) else "",
)
def test_it_says_what_it_waits_for_and_ctrl_c_ends_it_without_a_word(
    tmp_path: Path, command: tuple[str, ...], waits: str
) -> None:
    with silent() as address, Terminal(*command, *configured(tmp_path, address)) as terminal:
        terminal.until(waits)
        terminal.type(INTERRUPT)

        assert 130 == terminal.end()

    assert [] == [line for line in terminal.seen if not line.startswith(("ok ", "^C"))]
    assert "Traceback" not in terminal.written


def test_ctrl_c_is_no_trouble_either_while_the_program_is_loaded(tmp_path: Path) -> None:
    """As if it came with the first import: when that is, nobody can tell from outside."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'collector.cli':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n",
        "utf-8",
    )
    with Terminal("check", env={"PYTHONPATH": str(tmp_path)}) as terminal:
        assert (130, "") == (terminal.end(), terminal.written)


def test_the_check_is_in_colour_and_leaves_its_findings_alone(tmp_path: Path) -> None:
    with simulating() as (_, printed), silent() as address:
        kafka = f'\n[kafka]\nbootstrap_servers = "{address}"\ntransaction_timeout = "3s"\n'
        config = simulated(tmp_path, printed + kafka)
        with Terminal("check", *config) as terminal:
            assert 1 == terminal.end()

    assert "waiting for" in terminal.written
    assert COLOUR.search(terminal.written)
    assert {"ok    ", "failed"} == {line[:6] for line in terminal.seen}
    assert ["sources.airport: 3 locations", "sources.mall: 3 devices"] == sorted(
        line[7:] for line in terminal.seen if line[7:].startswith("sources.")
    )


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_terminals_without_colours_are_spared_them(tmp_path: Path, name: str, value: str) -> None:
    with simulating() as (_, printed):
        config = simulated(tmp_path, printed)
        for arguments in (
            ("check", "--offline", *config),
            ("preview", "mall", "nothing", *config),
            ("check", "--nope"),
        ):
            with Terminal(*arguments, env={name: value}) as terminal:
                terminal.end()
            assert not COLOUR.search(terminal.written)
            assert name != "TERM" or ESCAPE not in terminal.written


def test_what_is_piped_on_is_events_alone_while_the_terminal_says_what_is_waited_for(tmp_path: Path) -> None:
    with simulating("--fast") as (_, printed), (tmp_path / "out").open("wb+") as out:
        with Terminal(*PREVIEW, *simulated(tmp_path, printed), stdout=out.fileno()) as terminal:
            assert 0 == terminal.end()
        out.seek(0)
        lines = out.read().decode().splitlines()

    assert 20 == len([json.loads(line) for line in lines])
    assert "waiting for an export" in terminal.written
    assert ["20 events"] == terminal.seen


@pytest.mark.anyio
async def test_without_a_terminal_there_is_no_colour_no_box_and_nothing_that_moves(tmp_path: Path) -> None:
    with simulating("--fast") as (_, printed):
        config = simulated(tmp_path, printed)
        for command in ((*PREVIEW, *config), ("check", *config), ("check", "--nope"), ("nope",), ("check", "--help")):
            ended = await collector(*command)
            assert not re.search("[\x1b\r─│╭]", ended.out + ended.err), command


@pytest.mark.parametrize("command", [("schema",), PREVIEW, ("check", "--json")], ids=lambda given: given[0])
def test_who_stops_reading_is_no_trouble(tmp_path: Path, command: tuple[str, ...]) -> None:
    """As `| head -1` does, or `| true`."""
    with simulating("--fast") as (_, printed), silent() as address:
        kafka = f'\n[kafka]\nbootstrap_servers = "{address}"\ntransaction_timeout = "3s"\n'
        config = simulated(tmp_path, printed + kafka) if command[0] in ("preview", "check") else ()
        ended = _into_a_closed_pipe(*command, *config)

    assert ended.returncode in (0, 1)
    assert b"Traceback" not in ended.stderr
    assert b"Broken pipe" not in ended.stderr
    assert b"BrokenPipe" not in ended.stderr


@needs_the_broker
def test_the_demo_who_is_no_longer_read_is_no_trouble() -> None:
    ended = _into_a_closed_pipe("demo", "--seconds", "3")

    assert 1 == ended.returncode
    assert b"Traceback" not in ended.stderr


def _into_a_closed_pipe(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [sys.executable, "-m", "collector", *arguments]
        return subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=120)
    finally:
        os.close(writing)


@needs_the_broker
def test_the_demo_says_what_it_starts_and_counts_while_it_runs() -> None:
    with Terminal("demo", "--seconds", "6") as terminal:
        assert 0 == terminal.end()

    for text in ("starting a broker", "the daemon starts", " events; mall/sessions "):
        assert text in terminal.written
    assert [] == [line for line in terminal.seen if "events; " in line]
    assert "  missing                    0" in terminal.seen
