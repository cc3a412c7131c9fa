"""Where the program begins."""

import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly at any moment, also while the rest is being loaded."""
    try:
        _open_streams()
        from collector import cli  # noqa: PLC0415 - it takes a while

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


def _open_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed, as after `2>&-`.

    A socket would get its number otherwise: libuv aborts when it closes one with such a number, and what is printed
    would go to whom it is connected with.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # It gets this number, the lowest that is free. Only for reading: a log line must fail there to be counted.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # noqa: FBT003 - has no name
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # what commands print goes nowhere then, as with Python's own print
            stream = open(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - stays
            setattr(sys, name, stream)


if __name__ == "__main__":
    main()
