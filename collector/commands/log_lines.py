"""The log lines of commands: stdout has only the result, and what matters to the user is printed without the log."""

from typing import Literal

from collector.telemetry.log import configure


def log_to_stderr(level: Literal["warning", "error"]) -> None:
    """Write log lines of this level and above to stderr, as text."""
    configure(level, "console")
