"""The entry point of the program."""

import io
import os
import sys

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 + SIGINT, as shells report it."""


def main() -> None:
    """Run the command line. Ctrl-C ends it with code 130 at any moment, also while modules are imported."""
    try:
        _open_streams()
        # Python would write the keys of TLS sessions to this file, which reveal secrets; and if it cannot, end.
        os.environ.pop("SSLKEYLOGFILE", None)
        from collector import cli  # noqa: PLC0415 - imports take a while, and Ctrl-C must be handled meanwhile

        cli.main()
    except KeyboardInterrupt:
        os._exit(INTERRUPTED)  # not sys.exit: see commands/ending.py
    except SystemExit:
        import signal  # noqa: PLC0415 - as above

        # The command has ended. During finalization, KeyboardInterrupt would print a traceback.
        signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
        raise


def _open_streams() -> None:
    """Open /dev/null where stdin, stdout or stderr is closed, as after `2>&-`.

    Otherwise the next socket would get the number of the closed descriptor: output would be sent to the socket's peer,
    and libuv aborts when it closes a socket with such a number.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The new file gets the lowest free number, which is `fd`. It is read-only: writing a log line to it fails,
            # so that the line is counted as lost.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # noqa: FBT003 - positional only
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # output is discarded, as by print() without a stdout
            stream = open(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays open
            setattr(sys, name, stream)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: the locale may not have every character


if __name__ == "__main__":
    main()
