"""Real file descriptors that take no lines, or not for long."""

import fcntl
import os
import pty
import socket

PIPE_BYTES = 2 * 4096
"""What a Pipe takes."""


class Pipe:
    """A short one; nothing is read from it but here."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self.reading, False)

    def read(self) -> str:
        """All that is in it."""
        found = b""
        try:
            while more := os.read(self.reading, 65536):
                found += more
        except BlockingIOError:
            pass
        return found.decode()

    def fill(self) -> None:
        other = os.open(f"/proc/self/fd/{self.writing}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(other, b"-" * 4096)
        except BlockingIOError:
            os.close(other)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self.writing)


def full() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def closed() -> int:
    fd = os.dup(0)
    os.close(fd)
    return fd


def read_only() -> int:
    return os.open(os.devnull, os.O_RDONLY)


def without_reader() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def unread_pipe() -> int:
    return os.pipe()[1]


def unread_socket() -> int:
    one, other = socket.socketpair()
    one.detach()
    return other.detach()


def unread_terminal() -> int:
    return pty.openpty()[1]
