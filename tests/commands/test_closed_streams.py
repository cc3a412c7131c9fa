"""Commands whose stdout or stderr is closed: they do what they do, and print it to nobody."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

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
    path.write_text(CONFIG.format(key="a-key-of-this-test"), "utf-8")
    return str(path)


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    path = tmp_path / "wrong.toml"
    path.write_text(CONFIG.format(key=""), "utf-8")
    return str(path)


def ended(redirect: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-X", "dev", "-m", "collector", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("redirect", CLOSED)
@pytest.mark.parametrize(
    "command", [("check", "--offline"), ("check", "--offline", "--json"), ("schema",)], ids="/".join
)
def test_what_cannot_be_printed_is_no_failure(config: str, command: Sequence[str], redirect: str) -> None:
    done = ended(redirect, *command, *(("--config", config) if "check" in command else ()))
    assert (0, "") == (done.returncode, done.stderr)
    assert (done.stdout != "") == (redirect == "2>&-")


def test_health_says_by_its_exit_code_that_nobody_is_there(config: str) -> None:
    assert 1 == ended(ALL_CLOSED, "health", "--config", config).returncode


@pytest.mark.parametrize("redirect", ["2>/dev/full", *CLOSED])
def test_run_ends_with_2_when_its_configuration_is_wrong(wrong: str, redirect: str) -> None:
    done = ended(redirect, "run", "--config", wrong)
    assert (2, "") == (done.returncode, done.stdout)
    assert "Traceback" not in done.stderr
