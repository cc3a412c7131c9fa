"""Runs `collector simulate` in a process, and parses the output of other commands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from collector.simulator.vendors import VENDORS
from tests.commands.harness import Completed, closed_port

TABLES = 1 + len(VENDORS)
"""A comment and a table for each vendor. Each ends with an empty line."""


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
    printed, ended = "", 0
    for line in lines:
        printed += line
        ended += line == "\n"
        if ended == TABLES:
            break
    return printed


def lines(completed: Completed) -> list[dict[str, Any]]:
    """The JSON lines on stdout."""
    return [json.loads(line) for line in completed.out.splitlines()]
