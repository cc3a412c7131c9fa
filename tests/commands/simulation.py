"""Runs `collector simulate` in a process, and parses the output of other commands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.commands.harness import Completed, closed_port

LAST_LINE = "timezone = "
"""The start of the last line of the configuration."""


@contextmanager
def simulating(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A running `collector simulate`, and the configuration that it has printed."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "collector", "simulate", "--listen", f"127.0.0.1:{closed_port()}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=inherited,
    )
    with process:
        try:
            assert process.stdout is not None
            yield process, _configuration(process.stdout)
        finally:
            process.kill()


def _configuration(lines: Iterator[str]) -> str:
    printed = ""
    for line in lines:
        printed += line
        if line.startswith(LAST_LINE):
            break
    return printed


def lines(completed: Completed) -> list[dict[str, Any]]:
    """The JSON lines on stdout."""
    return [json.loads(line) for line in completed.out.splitlines()]
