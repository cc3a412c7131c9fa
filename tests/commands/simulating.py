"""`collector simulate` as a process, and what other commands printed of it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.commands.harness import Ended, closed_port

LAST_LINE = "timezone = "


@contextmanager
def simulating(*arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`collector simulate` as a process, and what it printed by the time that it served."""
    surroundings = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "collector", "simulate", "--listen", f"127.0.0.1:{closed_port()}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=surroundings,
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


def lines(ended: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ended.out.splitlines()]
