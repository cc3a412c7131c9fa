"""The progress line, colours and Ctrl-C at a terminal; output in files and pipes has none of them."""

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

from collector import __version__
from tests.commands.harness import collector
from tests.commands.simulation import simulating
from tests.commands.terminal import Terminal
from tests.commands.test_demo import needs_embedded_broker

ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
INTERRUPT = "\x03"
PREVIEW = ("preview", "airport", "viewers", "--last", "6h", "--limit", "20")


@contextmanager
def unresponsive_server() -> Iterator[str]:
    """The address of a server that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def config_option(folder: Path, address: str) -> tuple[str, str]:
    """`--config` with a configuration in which the vendor and Kafka are at the address."""
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


def simulation_option(folder: Path, printed: str) -> tuple[str, str]:
    """`--config` with the configuration that `collector simulate` printed."""
    path = folder / "simulated.toml"
    path.write_text(printed, "utf-8")
    return "--config", str(path)


@pytest.mark.parametrize(
    ("command", "progress"),
    [
        (("check",), "waiting for sources.mall, kafka"),
        (("preview", "mall", "sessions"), "waiting for the vendor"),
        (("state", "show"), "waiting for the brokers"),
        (("state", "init"), "checking the topics"),
        (("state", "rewind", "mall", "sessions", "--to", "2026-11-01T00:00:00Z"), "waiting for the brokers"),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, tuple) else "",
)
def test_ctrl_c_while_waiting_ends_with_130_and_no_output(
    tmp_path: Path, command: tuple[str, ...], progress: str
) -> None:
    with unresponsive_server() as address, Terminal(*command, *config_option(tmp_path, address)) as terminal:
        terminal.until(progress)
        terminal.type(INTERRUPT)

        assert 130 == terminal.end()

    assert [] == [line for line in terminal.screen if not line.startswith(("ok ", "^C"))]
    assert "Traceback" not in terminal.output


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("importlib.metadata", "raise KeyboardInterrupt"),
        ("collector.cli", "raise KeyboardInterrupt"),
        ("collector.commands.check", "raise KeyboardInterrupt"),
        # Code from a string, as dataclasses and named tuples execute it: see commands/ending.py.
        ("collector.cli", "exec('raise KeyboardInterrupt')"),
        ("collector.commands.check", "exec('raise KeyboardInterrupt')"),
    ],
)
def test_ctrl_c_during_an_import_ends_with_130_and_no_output(tmp_path: Path, module: str, statement: str) -> None:
    """Ctrl-C is simulated: its time cannot be controlled from outside."""
    _interrupt_at_import(tmp_path, module, statement)
    with Terminal("check", env={"PYTHONPATH": str(tmp_path)}) as terminal:
        assert (130, "") == (terminal.end(), terminal.output)


def test_ctrl_c_after_the_command_has_ended_causes_no_traceback(tmp_path: Path) -> None:
    interrupt = "atexit.register(os.kill, os.getpid(), signal.SIGINT)"
    _interrupt_at_import(tmp_path, "collector.cli", f"import atexit, os, signal; {interrupt}")
    with Terminal("--version", env={"PYTHONPATH": str(tmp_path)}) as terminal:
        assert 130 == terminal.end()

    assert [f"collector {__version__}"] == terminal.screen


def _interrupt_at_import(folder: Path, module: str, statement: str) -> None:
    """Execute the statement when the module is imported by a process that has the folder in PYTHONPATH."""
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        f"            {statement}\n"
        "sys.meta_path.insert(0, Interrupting())\n",
        "utf-8",
    )


def test_check_prints_coloured_findings_and_a_progress_line(tmp_path: Path) -> None:
    with simulating() as (_, printed), unresponsive_server() as address:
        kafka = f'\n[kafka]\nbootstrap_servers = "{address}"\ntransaction_timeout = "3s"\n'
        config = simulation_option(tmp_path, printed + kafka)
        with Terminal("check", *config) as terminal:
            assert 1 == terminal.end()

    assert "waiting for" in terminal.output
    assert COLOUR.search(terminal.output)
    assert {"ok    ", "failed"} == {line[:6] for line in terminal.screen}
    assert ["sources.airport: 3 locations", "sources.mall: 3 devices"] == sorted(
        line[7:] for line in terminal.screen if line[7:].startswith("sources.")
    )


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colours_where_they_are_disabled(tmp_path: Path, name: str, value: str) -> None:
    with simulating() as (_, printed):
        config = simulation_option(tmp_path, printed)
        for arguments in (
            ("check", "--offline", *config),
            ("preview", "mall", "nothing", *config),
            ("check", "--nope"),
        ):
            with Terminal(*arguments, env={name: value}) as terminal:
                terminal.end()
            assert not COLOUR.search(terminal.output)
            assert name != "TERM" or ESCAPE not in terminal.output


def test_only_events_are_piped_and_progress_is_shown_at_the_terminal(tmp_path: Path) -> None:
    with simulating("--fast") as (_, printed), (tmp_path / "out").open("wb+") as out:
        with Terminal(*PREVIEW, *simulation_option(tmp_path, printed), stdout=out.fileno()) as terminal:
            assert 0 == terminal.end()
        out.seek(0)
        events = out.read().decode().splitlines()

    assert 20 == len([json.loads(line) for line in events])
    assert "export" in terminal.output
    assert ["20 events, the most that --limit allows"] == terminal.screen


@pytest.mark.anyio
async def test_without_a_terminal_output_has_no_colours_boxes_or_progress(tmp_path: Path) -> None:
    with simulating("--fast") as (_, printed):
        config = simulation_option(tmp_path, printed)
        for command in ((*PREVIEW, *config), ("check", *config), ("check", "--nope"), ("nope",), ("check", "--help")):
            result = await collector(*command)
            assert not re.search("[\x1b\r─│╭]", result.out + result.err), command


@pytest.mark.parametrize("command", [("schema",), PREVIEW, ("check", "--json")], ids=lambda given: given[0])
def test_a_reader_that_closes_the_pipe_causes_no_traceback(tmp_path: Path, command: tuple[str, ...]) -> None:
    """As in `collector schema | head -1`."""
    with simulating("--fast") as (_, printed), unresponsive_server() as address:
        kafka = f'\n[kafka]\nbootstrap_servers = "{address}"\ntransaction_timeout = "3s"\n'
        config = simulation_option(tmp_path, printed + kafka) if command[0] in ("preview", "check") else ()
        result = _run_into_closed_pipe(*command, *config)

    assert result.returncode in (0, 1)
    assert b"Traceback" not in result.stderr
    assert b"Broken pipe" not in result.stderr
    assert b"BrokenPipe" not in result.stderr


@needs_embedded_broker
def test_a_reader_that_closes_the_pipe_of_the_demo_causes_no_traceback() -> None:
    result = _run_into_closed_pipe("demo", "--seconds", "3")

    assert 1 == result.returncode
    assert b"Traceback" not in result.stderr


def _run_into_closed_pipe(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        command = [sys.executable, "-m", "collector", *arguments]
        return subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, check=False, timeout=120)
    finally:
        os.close(write_end)


@needs_embedded_broker
def test_the_progress_line_of_the_demo() -> None:
    with Terminal("demo", "--seconds", "12") as terminal:
        assert 0 == terminal.end()

    for text in ("starting a broker", "starting the daemon", " events; mall/sessions "):
        assert text in terminal.output
    assert [] == [line for line in terminal.screen if "events; " in line]
    assert "  missing                    0" in terminal.screen
