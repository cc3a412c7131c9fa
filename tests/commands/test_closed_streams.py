"""Commands whose standard streams are closed or cannot be written."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.commands.harness import closed_port

CONFIG = """
[kafka]
bootstrap_servers = "127.0.0.1:1"
[sources.mall]
vendor = "seemetrix"
user_id = 864
user_key = "{key}"
since = 2026-11-01T00:00:00Z
"""
ALL_CLOSED = "<&- >&- 2>&-"
CLOSED = (">&-", "2>&-", ALL_CLOSED)


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.toml"
    listen = f'[http]\nlisten = "127.0.0.1:{closed_port()}"\n'
    path.write_text(CONFIG.format(key="a-key-of-this-test") + listen, "utf-8")
    return str(path)


@pytest.fixture
def invalid_config(tmp_path: Path) -> str:
    path = tmp_path / "invalid.toml"
    path.write_text(CONFIG.format(key=""), "utf-8")
    return str(path)


def run(redirect: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-X", "dev", "-m", "collector", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("redirect", CLOSED)
@pytest.mark.parametrize(
    "command", [("check", "--offline"), ("check", "--offline", "--json"), ("schema",)], ids="/".join
)
def test_a_closed_stream_is_not_a_failure(config: str, command: Sequence[str], redirect: str) -> None:
    result = run(redirect, *command, *(("--config", config) if "check" in command else ()))
    assert (0, "") == (result.returncode, result.stderr)
    assert (result.stdout != "") == (redirect == "2>&-")


def test_health_without_streams_fails_by_its_exit_code(config: str) -> None:
    assert 1 == run(ALL_CLOSED, "health", "--config", config).returncode


@pytest.mark.parametrize("redirect", ["2>/dev/full", *CLOSED])
def test_run_without_streams_reports_a_wrong_configuration_by_its_exit_code(invalid_config: str, redirect: str) -> None:
    result = run(redirect, "run", "--config", invalid_config)
    assert (2, "") == (result.returncode, result.stdout)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("check", "--offline"), ("check", "--offline", "--json"), ("schema",), ("check", "--help"), ("--version",)],
    ids="/".join,
)
def test_output_that_cannot_be_written_is_a_failure_of_one_line(config: str, arguments: Sequence[str]) -> None:
    result = run(">/dev/full", *arguments, *(("--config", config) if "--offline" in arguments else ()))
    (line,) = result.stderr.splitlines()
    assert (1, True) == (result.returncode, "stdout: No space left on device" in line)


@pytest.mark.parametrize("command", [("check", "--offline", "--config"), ("preview", "mall", "sessions", "--config")])
def test_the_exit_code_does_not_depend_on_whether_an_error_can_be_written(
    invalid_config: str, command: Sequence[str]
) -> None:
    assert 2 == run("2>/dev/full", *command, invalid_config).returncode


def test_nothing_can_be_written_at_all(config: str) -> None:
    assert 1 == run(">/dev/full 2>/dev/full", "check", "--offline", "--config", config).returncode
