"""What `collector demo` promises: everything at once, a verdict at the end, and nothing left behind."""

import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from collector import cli
from collector.commands.demo import demo
from collector.errors import UserError
from tests.commands.harness import collector

BROKER = "collector.simulator.broker"
EVENT = re.compile(
    r"\d\d:\d\d:\d\d (seemetrix|quividi)\.(session|attention|emotion|content_view|viewer)\.v1 +300[123] "
)
WAIT_S = 60

needs_the_broker = pytest.mark.skipif(
    importlib.util.find_spec("confluent_kafka") is None,
    reason="the embedded broker needs confluent_kafka: pip install 'collector[demo]'",
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")


def children(parent: int) -> dict[int, str]:
    """The command lines of a process's children, by their ids."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text("utf-8").rpartition(")")[2].split()
            if parent == int(after_name[1]):
                found[int(stat.parent.name)] = command(int(stat.parent.name))
        except (OSError, IndexError):  # it has ended meanwhile
            continue
    return found


def command(process: int) -> str:
    """Empty when it has ended."""
    try:
        return (Path("/proc") / str(process) / "cmdline").read_text("utf-8").replace("\0", " ")
    except OSError:
        return ""


@contextmanager
def running() -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """The demo as one starts it at a terminal, by the time that events come, and its brokers' process ids."""
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "collector", "demo"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**surroundings, "COLUMNS": "200"},
        start_new_session=True,
    )
    with process:
        try:
            assert process.stdout is not None
            assert any(EVENT.match(line) for line in process.stdout)
            yield process, [child for child, line in children(process.pid).items() if BROKER in line]
        finally:
            process.kill()


def counts(out: str) -> dict[str, int]:
    """The table at the end."""
    rows = re.findall(r"^  ([a-z ]+?) +([\d,]+)$", out, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in rows}


@needs_the_broker
@pytest.mark.anyio
async def test_it_shows_events_and_at_its_end_that_none_is_missing_or_duplicated() -> None:
    ended = await collector("demo", "--seconds", "8")

    assert (0, "") == (ended.code, ended.err)
    told = counts(ended.out)
    assert ["records simulated", "events published", "missing", "duplicated"] == list(told)
    assert (0, 0) == (told["missing"], told["duplicated"])
    assert 0 < told["records simulated"] < told["events published"]
    shown = [line for line in ended.out.splitlines() if EVENT.match(line)]
    assert 0 < len(shown) <= 8 * 20
    assert "Final: mall up to " in ended.out


@needs_the_broker
@needs_proc
def test_ctrl_c_ends_it_well_and_leaves_no_process_behind() -> None:
    with running() as (process, brokers):
        assert 1 == len(brokers)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=WAIT_S)

    assert (0, "") == (process.returncode, err)
    told = counts(out)
    assert (0, 0) == (told["missing"], told["duplicated"])
    assert [""] == [command(broker) for broker in brokers]
    assert {} == {child: line for child, line in children(os.getpid()).items() if BROKER in line}


@needs_the_broker
@needs_proc
def test_even_when_it_is_killed_its_broker_ends() -> None:
    with running() as (process, brokers):
        process.kill()
        process.wait()
    deadline = time.monotonic() + WAIT_S
    while BROKER in command(brokers[0]) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert [""] == [command(broker) for broker in brokers]


def without_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def finds(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "confluent_kafka" else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", finds)


def test_without_the_broker_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_broker(monkeypatch)

    with pytest.raises(UserError) as raised:
        demo(seconds=1, kafka=None)

    assert "the embedded broker is not installed: pip install 'collector[demo]', or use --kafka host:port" == str(
        raised.value
    )


def test_without_the_broker_the_command_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_the_broker(monkeypatch)
    monkeypatch.setattr(sys, "argv", ["collector", "demo"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert 2 == ended.value.code
    told = capsys.readouterr()
    assert ("", True) == (told.out, "pip install 'collector[demo]'" in told.err)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kafka", "text"),
    [
        ("nowhere", "no broker answers at nowhere: "),
        ("localhost:kafka", "expected host:port, such as localhost:9092"),
        ("127.0.0.1:1", "Connection refused"),
    ],
)
async def test_a_broker_that_is_not_there_is_told_before_anything_starts(kafka: str, text: str) -> None:
    ended = await collector("demo", "--seconds", "60", "--kafka", kafka)

    assert (2, "") == (ended.code, ended.out)
    (line,) = ended.err.splitlines()
    assert line.startswith(f"--kafka {kafka}: ")
    assert text in line
