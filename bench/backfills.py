"""Measures backfills of different sizes.

    python -m bench.backfills [SESSIONS ...]

For each size, a new daemon, whose stream is live and has no data, runs one backfill with `collector backfill`. The
vendor has a million sessions a day, each of four events.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.broker import running
from bench.busy_vendor import GAP_US
from bench.daemon import running_daemon, source, write_config
from bench.measurement import Measurement
from bench.reading import committed_messages
from collector.instants import floor_second, format_seconds
from tests.processes import running_module

SESSIONS = (10_000, 100_000, 1_000_000)
LOOKS, PLAYS = 1, 1
EVENTS_PER_SESSION = 1 + 2 * LOOKS + PLAYS
TIMEOUT_S = 3600
BEFORE = timedelta(days=2)
"""The vendor's last session is so old. There the backfill ends, and the stream starts. It is longer than the lateness,
for which the backfill would otherwise wait."""


def measured(kafka: str, home: Path, url: str, end: datetime, sessions: int) -> Measurement:
    """Run a backfill of so many sessions, from its request until it is complete."""
    prefix = f"backfill{sessions}."
    config = write_config(home, prefix, kafka, source(1, f"{url}/api", end), prefix)
    start = end - timedelta(microseconds=sessions * GAP_US)
    arguments = ["--config", str(config.path), "--from", format_seconds(start), "--to", format_seconds(end)]
    with running_daemon(config) as daemon:
        daemon.until(daemon.are_live, TIMEOUT_S)
        cpu_s, started = daemon.cpu_s, time.perf_counter()
        command = [sys.executable, "-m", "collector", "backfill", "account00001", "sessions", *arguments]
        subprocess.run(command, check=True, capture_output=True)
        daemon.until(lambda: bool(daemon.logged("backfill_complete")), TIMEOUT_S)
        wall_s, cpu_s = time.perf_counter() - started, daemon.cpu_s - cpu_s
        peak_mib = daemon.peak_mib
    published = sum(1 for _ in committed_messages(kafka, f"{prefix}seemetrix.sessions"))
    if published != sessions:
        raise RuntimeError(f"expected {sessions} sessions, got {published}")
    return Measurement(sessions * EVENTS_PER_SESSION, wall_s, cpu_s, peak_mib)


def table(measurements: Sequence[Measurement]) -> Table:
    """The figures as a table."""
    found = Table("sessions", "events", "wall s", "CPU s", "events/CPU s", "peak MiB", title="backfills")
    for each in measurements:
        found.add_row(
            f"{each.events // EVENTS_PER_SESSION:,}",
            f"{each.events:,}",
            f"{each.wall_s:.1f}",
            f"{each.cpu_s:.2f}",
            f"{each.per_cpu_s:,.0f}",
            f"{each.peak_mib:.0f}",
        )
    return found


def main(arguments: Sequence[str] = ()) -> None:
    sizes = [int(each) for each in arguments] or SESSIONS
    end = floor_second(datetime.now(UTC) - BEFORE)
    with (
        tempfile.TemporaryDirectory() as name,
        running(Path(name)) as broker,
        running_module("bench.busy_vendor", str(LOOKS), str(PLAYS), str(end.timestamp())) as url,
    ):
        measurements = [measured(broker.address, Path(name), url, end, each) for each in sizes]
    Console(highlight=False, width=110).print(table(measurements))


if __name__ == "__main__":
    main(sys.argv[1:])
