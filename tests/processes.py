"""Servers in processes of their own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import PIPE, Popen


@contextmanager
def running_module(name: str, *arguments: str) -> Iterator[str]:
    """Run a module that prints the URL at which it serves, until the end of the block. Yields the URL."""
    with Popen([sys.executable, "-m", name, *arguments], stdin=PIPE, stdout=PIPE) as process:
        try:
            if process.stdout is None:
                raise AssertionError("stdout is a pipe")
            yield process.stdout.readline().decode().strip()
        finally:
            process.kill()
