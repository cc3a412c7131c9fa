"""`collector run`: the daemon."""

import gc
import signal
import sys
from pathlib import Path

import anyio
import structlog

from collector import allocator, app
from collector.config import load, reveal_secrets
from collector.errors import UserError, leaves
from collector.redaction import MIN_LENGTH
from collector.telemetry.log import configure, redirect_stderr

_SWITCH_INTERVAL_S = 0.001
"""How long the event loop waits, again and again, for a thread that renders metrics or the status. Default: 5 ms."""


def run(path: Path) -> None:
    """Run until SIGTERM or SIGINT.

    Raises UserError when the configuration is wrong, a secret cannot be read or the daemon cannot listen at
    `http.listen`.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the daemon receives it: what it asks for happens now anyway
    redirect_stderr()
    settings = load(path)
    short = reveal_secrets(settings, settings.sources)
    configure(settings.log.level, settings.log.format)
    if short:
        advice = f"use longer secrets: those below {MIN_LENGTH} characters are not redacted from logs and errors"
        structlog.get_logger().warning("secrets_not_concealed", keys=short, advice=advice)
    allocator.return_large_blocks()
    tune_interpreter()
    try:
        anyio.run(app.run, settings, path, backend_options={"use_uvloop": True})
    except* UserError as errors:
        first, *others = leaves(errors)
        text = "\n".join(map(str, (first, *others)))
        raise UserError(text, code=first.code if isinstance(first, UserError) else "") from None


def tune_interpreter() -> None:
    """Set how often the interpreter searches for cycles of objects, and switches between threads."""
    # Values here are frozen and have no cycles: at its defaults, the search for cycles takes 40 % of a backfill's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
