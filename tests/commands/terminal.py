"""Runs `collector` at a terminal: its output, what remains on the screen, and what is typed."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Self

WAIT_S = 60
_OUTPUT = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
_WITH_CONTROLLING_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Only a process with a controlling terminal receives Ctrl-C from it."""
_INHERITED = ("PATH", "HOME", "TMPDIR")


class Terminal:
    """A process of `collector` with a terminal of its own. With `stdout`, only stdin and stderr are the terminal."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, stdout: int | None = None) -> None:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self.output = ""
        self._file, end = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WITH_CONTROLLING_TERMINAL, sys.executable, "-m", "collector", *arguments],
            stdin=end,
            stdout=end if stdout is None else stdout,
            stderr=end,
            env={"TERM": "xterm", "COLUMNS": "200", **inherited, **(env or {})},
            start_new_session=True,
        )
        os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._file)

    def until(self, text: str) -> None:
        """Return when the text has been written."""
        deadline = time.monotonic() + WAIT_S
        while text not in self.output:
            assert self._read(deadline), f"ended without writing {text!r}: {self.output}"

    def type(self, keys: str) -> None:
        os.write(self._file, keys.encode())

    def end(self) -> int:
        """Wait until the process ends; return its exit code."""
        deadline = time.monotonic() + WAIT_S
        while self._read(deadline):
            pass
        return self._process.wait(WAIT_S)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._file], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"no more output: {self.output}"
        try:
            part = os.read(self._file, 65536)
        except OSError:  # how Linux reports that the other side is closed
            return False
        self.output += part.decode("utf-8", "replace")
        return bool(part)

    @property
    def screen(self) -> list[str]:
        """The lines that remain on the screen after erasures."""
        lines, row, column = [""], 0, 0
        for parameters, command, moved, text in _OUTPUT.findall(self.output):
            if command == "A":
                row -= int(parameters or 1)
            elif command == "K":
                lines[row] = "" if parameters == "2" else lines[row][:column]
            elif moved == "\r":
                column = 0
            elif moved == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif text:
                lines[row] = f"{lines[row][:column]:{column}}{text}{lines[row][column + len(text) :]}"
                column += len(text)
        return [line for line in lines if line]
