"""How commands end: exit codes, error messages, Ctrl-C, and output that cannot be written."""

import errno
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from traceback import format_exception
from typing import NoReturn, TextIO

import typer

from collector.errors import Failed, UserError
from collector.redaction import redact

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
TERMINATED = 128 + signal.SIGTERM
"""The exit code with which shells report a process that SIGTERM ended."""

_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""Errors of a write, for example to a full disk. Commands write only to stdout and stderr."""


class OutputFailed(Exception):  # noqa: N818 - named by what happened
    """stdout cannot be written. This is no OSError, as its cause is: those of Kafka's client mean the brokers."""


def print_result(line: str | bytes) -> None:
    """Print a line on stdout at once, also to a pipe. Raises OutputFailed."""
    try:
        typer.echo(line)
        sys.stdout.flush()
    except OSError as error:
        raise OutputFailed from error


def end(error: BaseException) -> NoReturn:
    """Print the error that ended a command, and exit with its exit code."""
    match error:
        case SystemExit(code=code) if code != INTERRUPTED:
            if (write_error := _write_error(sys.stdout)) is not None:
                end(write_error)
            raise error
        case SystemExit() | KeyboardInterrupt():
            _end_interrupted()
        case UserError():
            fail(str(error), WRONG_INPUT)
        case Failed():
            fail(str(error), FAILED)
        case OutputFailed(__cause__=OSError() as cause):
            end(cause)
        case BrokenPipeError():  # the reader of a pipe has closed it, as `head` does
            _discard(sys.stdout)
            sys.exit(FAILED)
        case OSError(errno=number, filename=None) if number in _UNWRITABLE:
            _discard(sys.stdout)
            fail(f"cannot write to stdout: {error.strerror or type(error).__name__}", FAILED)
        case _:  # a bug: shown with its traceback, without secrets
            with suppress(OSError):
                sys.stderr.write(redact("".join(format_exception(error))))
            sys.exit(FAILED)


def fail(text: str, code: int) -> NoReturn:
    """Print the text on stderr, redacted, and exit with the exit code."""
    print_error(redact(text), style="red")
    sys.exit(code)


def print_error(text: str, *, style: str = "", end: str = "\n") -> None:
    """Print a line on stderr. If it cannot be written, output and exit code stay as they are."""
    try:
        try:
            from rich.console import Console  # noqa: PLC0415 - most commands print nothing on stderr
        except (ImportError, OSError):  # the text may be that too many files are open
            sys.stderr.write(text + end)
            return
        Console(stderr=True, highlight=False, markup=False, emoji=False).print(
            text, style=style, end=end, soft_wrap=True
        )
    except OSError:
        _discard(sys.stderr)


def read_line() -> str:
    """A line from stdin; empty at its end. Raises KeyboardInterrupt for Ctrl-C, at whatever moment it arrives.

    `input` misses a Ctrl-C that arrives just before it blocks: the interpreter acts on signals between two of its own
    instructions only, and would wait for a line first. Here, the signal itself wakes the wait up.
    """
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)  # noqa: FBT003 - positional only
        former = signal.set_wakeup_fd(writer.fileno())
        try:
            select.select([sys.stdin, reader], [], [])
            return sys.stdin.readline()
        finally:
            signal.set_wakeup_fd(former)


def _end_interrupted() -> NoReturn:
    """End after Ctrl-C, without the interpreter's finalization.

    If Ctrl-C arrives while a library executes generated source, as dataclasses and named tuples do, the interpreter
    remembers that (`unhandled_keyboard_interrupt` in CPython): whatever the exit code, finalization then ends the
    process by SIGINT. Finalization also waits for threads, which may hang.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(INTERRUPTED)


def _write_error(stream: TextIO) -> OSError | None:
    """Flush the stream; return the error, or None. After an error, the output stays in the buffer."""
    try:
        stream.flush()
    except OSError as error:
        return error
    return None


def _discard(stream: TextIO) -> None:
    """Redirect the stream to /dev/null: the interpreter flushes it once more when it exits, and must not fail then."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
