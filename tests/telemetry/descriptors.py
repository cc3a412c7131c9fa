"""Real file descriptors to which writes fail or block."""

import fcntl
import os
import pty
import socket

PIPE_BYTES = 2 * 4096
"""The capacity of a Pipe."""


class Pipe:
    """A pipe of small capacity, which is read only by `read`."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        fcntl.fcntl(self.reading, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self.reading, False)

    def read(self) -> str:
        """Everything that is in the pipe."""
        content = b""
        try:
            while chunk := os.read(self.reading, 65536):
                content += chunk
        except BlockingIOError:
            pass
        return content.decode()

    def fill(self) -> None:
        writing = os.open(f"/proc/self/fd/{self.writing}", os.O_WRONLY | os.O_NONBLOCK)
        try:
            while True:
                os.write(writing, b"-" * 4096)
        except BlockingIOError:
            os.close(writing)

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
    first, second = socket.socketpair()
    first.detach()
    return second.detach()


def unread_terminal() -> int:
    return pty.openpty()[1]
