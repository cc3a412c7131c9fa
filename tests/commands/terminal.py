"""The program at a terminal: what it writes there, what is left to be seen, and what somebody types."""

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
_WRITTEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
_AT_ITS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(2, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""A process whose terminal it is gets Ctrl-C from it."""
_SURROUNDINGS = ("PATH", "HOME", "TMPDIR")


class Terminal:
    """A process of `collector` that has a terminal for itself; or one whose stdout goes elsewhere."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None, stdout: int | None = None) -> None:
        surroundings = {name: os.environ[name] for name in _SURROUNDINGS if name in os.environ}
        self.written = ""
        self._file, end = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _AT_ITS_TERMINAL, sys.executable, "-m", "collector", *arguments],
            stdin=end,
            stdout=end if stdout is None else stdout,
            stderr=end,
            env={"TERM": "xterm", "COLUMNS": "200", **surroundings, **(env or {})},
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
        """Return when it has written so."""
        deadline = time.monotonic() + WAIT_S
        while text not in self.written:
            assert self._read(deadline), f"it ended without {text!r}: {self.written}"

    def type(self, keys: str) -> None:
        os.write(self._file, keys.encode())

    def end(self) -> int:
        """Its exit code, once it has ended."""
        deadline = time.monotonic() + WAIT_S
        while self._read(deadline):
            pass
        return self._process.wait(WAIT_S)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._file], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"it wrote nothing more: {self.written}"
        try:
            part = os.read(self._file, 65536)
        except OSError:  # the other side is closed: so Linux says it
            return False
        self.written += part.decode("utf-8", "replace")
        return bool(part)

    @property
    def seen(self) -> list[str]:
        """The lines that are left on the screen, without what was erased."""
        lines, row, column = [""], 0, 0
        for parameters, command, moved, text in _WRITTEN.findall(self.written):
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
