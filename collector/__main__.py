"""Where the program begins."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly at any moment, also while the rest is being loaded."""
    try:
        from collector import cli  # noqa: PLC0415 - it takes a while

        cli.main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
