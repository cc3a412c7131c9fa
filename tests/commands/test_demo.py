"""`collector demo` prints events and a verdict, and leaves no process behind."""

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

needs_embedded_broker = pytest.mark.skipif(
    importlib.util.find_spec("confluent_kafka") is None,
    reason="the embedded broker needs confluent_kafka: pip install 'collector[demo]'",
)
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def children(parent: int) -> dict[int, str]:
    """The command lines of a process's children by process id."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text("utf-8").rpartition(")")[2].split()
            if parent == int(after_name[1]):
                found[int(stat.parent.name)] = command(int(stat.parent.name))
        except (OSError, IndexError):  # the process has ended meanwhile
            continue
    return found


def command(process: int) -> str:
    """The command line of a process; empty when it has ended."""
    try:
        return (Path("/proc") / str(process) / "cmdline").read_text("utf-8").replace("\0", " ")
    except OSError:
        return ""


@contextmanager
def running() -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A running demo that has printed an event, and the process ids of its brokers."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "collector", "demo"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**inherited, "COLUMNS": "200"},
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
    """The counts of the verdict."""
    rows = re.findall(r"^  ([a-z ]+?) +([\d,]+)$", out, re.MULTILINE)
    return {name: int(count.replace(",", "")) for name, count in rows}


@needs_embedded_broker
@pytest.mark.anyio
async def test_it_prints_events_and_a_good_verdict() -> None:
    result = await collector("demo", "--seconds", "8")

    assert (0, "") == (result.code, result.err)
    verdict = counts(result.out)
    assert ["records simulated", "events published", "missing", "duplicated"] == list(verdict)
    assert (0, 0) == (verdict["missing"], verdict["duplicated"])
    assert 0 < verdict["records simulated"] < verdict["events published"]
    shown = [line for line in result.out.splitlines() if EVENT.match(line)]
    assert 0 < len(shown) <= 8 * 20
    assert "Final: mall up to " in result.out


@needs_embedded_broker
@needs_proc
def test_ctrl_c_ends_it_with_a_verdict_and_leaves_no_process_behind() -> None:
    with running() as (process, brokers):
        assert 1 == len(brokers)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=WAIT_S)

    assert (0, "") == (process.returncode, err)
    verdict = counts(out)
    assert (0, 0) == (verdict["missing"], verdict["duplicated"])
    assert [""] == [command(broker) for broker in brokers]
    assert {} == {child: line for child, line in children(os.getpid()).items() if BROKER in line}


@needs_embedded_broker
@needs_proc
def test_the_broker_ends_when_the_demo_is_killed() -> None:
    with running() as (process, brokers):
        process.kill()
        process.wait()
    deadline = time.monotonic() + WAIT_S
    while BROKER in command(brokers[0]) and time.monotonic() < deadline:
        time.sleep(0.05)

    assert [""] == [command(broker) for broker in brokers]


def hide_embedded_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def finds(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "confluent_kafka" else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", finds)


def test_a_missing_embedded_broker_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_embedded_broker(monkeypatch)

    with pytest.raises(UserError) as raised:
        demo(seconds=1, kafka=None)

    assert "embedded_broker_not_installed" == raised.value.code


def test_without_the_embedded_broker_the_command_ends_with_2_and_advice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hide_embedded_broker(monkeypatch)
    monkeypatch.setattr(sys, "argv", ["collector", "demo"])

    with pytest.raises(SystemExit) as exited:
        cli.main()

    assert 2 == exited.value.code
    output = capsys.readouterr()
    assert ("", True) == (output.out, "pip install 'collector[demo]'" in output.err)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("kafka", "fact"),
    [
        ("nowhere", "nowhere"),
        ("localhost:kafka", "host:port"),
        ("127.0.0.1:1", "Connection refused"),
    ],
)
async def test_an_unusable_broker_is_an_error_before_anything_starts(kafka: str, fact: str) -> None:
    result = await collector("demo", "--seconds", "60", "--kafka", kafka)

    assert (2, "") == (result.code, result.out)
    (line,) = result.err.splitlines()
    assert line.startswith(f"--kafka {kafka}: ")
    assert fact in line.removeprefix(f"--kafka {kafka}: ")
