"""The target of log lines: lines that cannot be written are counted, and writing neither raises nor blocks."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collector.redaction import REDACTED
from collector.secrets import Secret
from collector.telemetry import log_target
from collector.telemetry.log_target import LogTarget, PrintedLines
from collector.telemetry.metrics import Metrics
from tests.telemetry.descriptors import (
    PIPE_BYTES,
    Pipe,
    closed,
    full,
    read_only,
    unread_pipe,
    unread_socket,
    unread_terminal,
    without_reader,
)

LINE = "x" * 99
MANY = 1000
"""Lines of a hundred bytes: more than any pipe of these tests holds."""


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def target(pipe: Pipe) -> LogTarget:
    """A target that writes to the pipe, with a clock that stands still: its wait is never replenished."""
    return LogTarget(pipe.writing, lambda: 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def test_a_line_is_written_when_write_returns(path: Path) -> None:
    target = LogTarget(opened(path))

    target.write("one")
    target.write("z" * 1_000_000)
    target.write("lone \udc80 surrogate")

    assert ["one", "z" * 1_000_000, "lone ? surrogate"] == path.read_text("utf-8").splitlines()
    assert 0 == target.lost


@pytest.mark.parametrize("make", [full, closed, read_only, without_reader])
def test_a_line_that_cannot_be_written_is_counted(make: Callable[[], int]) -> None:
    target = LogTarget(make())

    target.write("one")
    target.write("two")

    assert 2 == target.lost


@pytest.mark.parametrize("make", [unread_pipe, unread_socket, unread_terminal])
def test_writing_does_not_block_without_a_reader(make: Callable[[], int]) -> None:
    target = LogTarget(make(), lambda: 0.0)
    started_s = time.monotonic()

    for _ in range(10 * MANY):
        target.write(LINE)

    assert 0 < target.lost < 10 * MANY
    assert time.monotonic() - started_s < 10 * MANY * log_target.MAX_WAIT_MS / 1000 / 10


def test_a_pipe_that_cannot_be_reopened_does_not_block_either(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe of another user cannot be reopened."""
    monkeypatch.setattr(log_target, "_nonblocking", lambda fd: fd)
    target = LogTarget(pipe.writing, lambda: 0.0)

    target.write("z" * 3 * PIPE_BYTES)
    target.write(LINE)

    assert 2 == target.lost
    assert "z" * PIPE_BYTES == pipe.read()


def test_not_every_write_waits_for_a_reader_that_is_always_too_slow(pipe: Pipe, target: LogTarget) -> None:
    started_s = time.monotonic()

    for _ in range(MANY):
        pipe.fill()
        target.write(LINE)
        pipe.read()

    assert MANY == target.lost
    assert time.monotonic() - started_s < MANY * log_target.MAX_WAIT_MS / 1000 / 2


def test_the_wait_for_a_reader_is_replenished(pipe: Pipe) -> None:
    now_s = [0.0]
    target = LogTarget(pipe.writing, lambda: now_s[0])
    pipe.fill()
    for _ in range(3):
        started_s = time.monotonic()
        target.write(LINE)
        assert time.monotonic() - started_s >= log_target.MAX_WAIT_MS / 1000 / 2
        now_s[0] += 1 / log_target.MAX_WAIT_SHARE


def test_no_line_is_lost_if_the_reader_is_fast_enough(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_target, "MAX_WAIT_MS", 60_000.0)
    target = LogTarget(pipe.writing)
    read: list[str] = []

    def write() -> None:
        for _ in range(MANY):
            target.write(LINE)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        read.append(pipe.read())
    read.append(pipe.read())

    assert [LINE] * MANY == "".join(read).splitlines()
    assert 0 == target.lost


def test_the_number_of_lost_lines_is_reported_before_the_next_line(pipe: Pipe, target: LogTarget) -> None:
    for _ in range(MANY):
        target.write(LINE)
    lost = target.lost
    before = pipe.read().splitlines()

    target.write("again")
    target.write("and again")

    assert [LINE] * (MANY - lost) == before
    assert [f"log_lines_lost lines={lost}", "again", "and again"] == pipe.read().splitlines()
    assert lost == target.lost


def test_the_line_after_a_truncated_one_starts_on_a_new_line(pipe: Pipe, target: LogTarget) -> None:
    target.write("z" * 3 * PIPE_BYTES)
    truncated = pipe.read()

    target.write("again")

    assert "z" * PIPE_BYTES == truncated
    assert "\nlog_lines_lost lines=1\nagain\n" == pipe.read()


def test_a_line_lost_after_a_report_is_in_the_next_report(pipe: Pipe, target: LogTarget) -> None:
    pipe.fill()
    target.write("one")
    target.write("two")
    pipe.read()

    target.write("z" * 3 * PIPE_BYTES)
    assert pipe.read().startswith("log_lines_lost lines=2\nzzz")
    target.write("again")

    assert ["", "log_lines_lost lines=1", "again"] == pipe.read().splitlines()
    assert 3 == target.lost


def test_a_notice_below_the_level_is_not_written(pipe: Pipe, target: LogTarget) -> None:
    target.notice = lambda _: None
    target.lose()

    target.write("again")

    assert "again\n" == pipe.read()


def test_a_disk_with_space_again_has_complete_lines(path: Path) -> None:
    """A limit on the file size acts like a full disk: it truncates a write, and the next write fails."""
    code = """
import resource, signal, sys
from collector.telemetry.log_target import LogTarget
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = LogTarget(1)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (250, limits[1]))
for _ in range(5):
    target.write("x" * 99)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
target.write("again")
"""
    with path.open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)

    assert [LINE, LINE, "x" * 50, "log_lines_lost lines=3", "again"] == path.read_text("utf-8").splitlines()


def test_a_write_that_stops_after_a_newline_leaves_no_empty_line(path: Path) -> None:
    """Readers of JSON lines fail on an empty line, too."""
    code = """
import resource, signal
from collector.telemetry.log_target import LogTarget
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
target = LogTarget(1)
limits = resource.getrlimit(resource.RLIMIT_FSIZE)
for size in (50, 51):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    target.write("x" * 99)
resource.setrlimit(resource.RLIMIT_FSIZE, limits)
target.write("again")
"""
    with path.open("wb") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)

    assert ["x" * 50, "log_lines_lost lines=2", "again"] == path.read_text("utf-8").splitlines()


@pytest.mark.parametrize(
    ("content", "lines"), [("", ["new"]), ("old\n", ["old", "new"]), ("half of a li", ["half of a li", "new"])]
)
def test_a_new_process_does_not_continue_the_truncated_line_of_the_former_one(
    path: Path, content: str, lines: list[str]
) -> None:
    path.write_text(content)

    LogTarget(opened(path)).write("new")

    assert lines == path.read_text("utf-8").splitlines()


def test_lines_of_several_threads_are_not_mixed(path: Path) -> None:
    target = LogTarget(opened(path))
    lines = [letter * 20_000 for letter in "abcd"]

    def write(line: str) -> None:
        for _ in range(200):
            target.write(line)

    threads = [threading.Thread(target=write, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(lines * 200) == sorted(path.read_text("utf-8").splitlines())


def test_a_finalizer_that_logs_during_a_write_loses_its_own_line(pipe: Pipe, target: LogTarget) -> None:
    def notice(lines: int) -> str:
        target.write("from within")
        return f"{lines} lost"

    target.notice = notice
    target.lose()

    target.write("one")
    assert ["1 lost", "one"] == pipe.read().splitlines()
    assert 2 == target.lost


def test_other_users_of_the_pipe_stay_in_blocking_mode(pipe: Pipe) -> None:
    LogTarget(pipe.writing)

    assert os.get_blocking(pipe.writing)


def test_printed_text_becomes_redacted_lines(pipe: Pipe, target: LogTarget) -> None:
    Secret.model_validate("printed-secret-77")
    stream = PrintedLines(target)

    print("a warning", "of printed-", end="", file=stream)
    print("secret-77", file=stream)
    print("no end", end="", file=stream, flush=True)

    assert [f"a warning of {REDACTED}", "no end"] == pipe.read().splitlines()


def test_text_printed_to_a_full_disk_is_counted_as_lost() -> None:
    target = LogTarget(full())

    print("two\nlines", file=PrintedLines(target), flush=True)

    assert 2 == target.lost


def test_the_metric_counts_from_the_start_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    target = LogTarget(full())
    monkeypatch.setattr("collector.telemetry.metrics.stderr_target", lambda: target)
    registry = Metrics().registry
    assert 0 == registry.get_sample_value("collector_log_errors_total")

    target.write("one")

    assert 1 == registry.get_sample_value("collector_log_errors_total")
    assert 1 == Metrics().registry.get_sample_value("collector_log_errors_total")
