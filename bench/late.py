"""Measures an account with a million sessions a day, and days of lateness.

    python -m bench.late [DAYS]

One source catches up with so many days, all of which its ledger then contains. Then it is measured at the live edge, at
a restart, and during a sweep, which fetches all of these days again.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.broker import running
from bench.daemon import Config, Daemon, first_polls, running_daemon, source, write_config
from bench.measurement import log_bytes
from tests.processes import running_module

DAYS = 2
LOOKS, PLAYS = 5, 2
POLLS = 5
POLL_S = 60
IDLE_S = 5.0
MAX_IDLE_CORES = 0.05
"""The most CPU cores of a daemon that does nothing but a live poll every minute."""
TIMEOUT_S = 3600
PREFIX = "late."


class Step(Struct, frozen=True):
    """The figures of one step."""

    name: str
    sessions: int
    """Those that were fetched: new ones, and known ones."""
    wall_s: float
    cpu_s: float
    peak_mib: float
    """Of the process, from its start."""
    entries: int
    """Of the ledger, at the end."""


def measured(kafka: str, home: Path, url: str, days: int) -> Sequence[Step]:
    """Catch up, poll, restart, and sweep."""
    begin = datetime.now(UTC) - timedelta(days=days)

    def config(sweep_every: str) -> Config:
        table = f'[sources.account00001.streams.sessions]\nallowed_lateness = "{days}d"\nsweep_every = "{sweep_every}"'
        return write_config(home, "late", kafka, source(1, f"{url}/api", begin, table), PREFIX)

    steps = []
    with running_daemon(config("6h")) as daemon:
        daemon.until(daemon.responds, TIMEOUT_S)
        steps.append(_step("catching up", daemon, lambda: daemon.until(daemon.are_live, TIMEOUT_S, pause_s=2)))
        steps.append(_step(f"{POLLS} polls", daemon, lambda: time.sleep(POLLS * POLL_S)))
    with running_daemon(config("6h")) as daemon:
        daemon.until(lambda: bool(first_polls(url, daemon)), TIMEOUT_S)
        cpu_s, first = daemon.cpu_s, first_polls(url, daemon)["1"]
        _, entries = _counts(daemon)
        steps.append(Step("start to first poll", 0, first - daemon.started, cpu_s, daemon.peak_mib, entries))
    with running_daemon(config("2m")) as daemon:  # so a sweep is due
        daemon.until(lambda: bool(first_polls(url, daemon)), TIMEOUT_S)
        steps.append(_step("a sweep", daemon, lambda: _wait_until_idle(daemon)))
    return steps


def _step(name: str, daemon: Daemon, run: Callable[[], None]) -> Step:
    (sessions, _), cpu_s, started = _counts(daemon), daemon.cpu_s, time.perf_counter()
    run()
    wall_s, cpu_s = time.perf_counter() - started, daemon.cpu_s - cpu_s
    total, entries = _counts(daemon)
    return Step(name, total - sessions, wall_s, cpu_s, daemon.peak_mib, entries)


def _counts(daemon: Daemon) -> tuple[int, int]:
    """The sessions that the daemon has fetched, and the entries of its ledger."""
    (stream,) = daemon.streams()
    return sum(stream["counts"]["records"].values()), stream["counts"]["ledger_entries"]


def _wait_until_idle(daemon: Daemon) -> None:
    used_s = IDLE_S
    while used_s > IDLE_S * MAX_IDLE_CORES:
        before_s = daemon.cpu_s
        time.sleep(IDLE_S)
        used_s = daemon.cpu_s - before_s


def table(steps: Sequence[Step], days: int, state_bytes: int) -> Table:
    """The figures as a table."""
    title = f"a million sessions a day, lateness {days}d; {state_bytes / 2**20:.0f} MiB in the state topic"
    found = Table("", "sessions", "wall s", "CPU s", "CPU µs each", "peak MiB", "ledger entries", title=title)
    for each in steps:
        found.add_row(
            each.name,
            f"{each.sessions:,}",
            f"{each.wall_s:.1f}",
            f"{each.cpu_s:.1f}",
            f"{each.cpu_s / each.sessions * 1e6:.0f}" if each.sessions else "",
            f"{each.peak_mib:.0f}",
            f"{each.entries:,}",
        )
    return found


def main(arguments: Sequence[str] = ()) -> None:
    days = int(arguments[0]) if arguments else DAYS
    vendor = partial(running_module, "bench.busy_vendor", str(LOOKS), str(PLAYS))
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker, vendor() as url:
        steps = measured(broker.address, Path(name), url, days)
        state_bytes = log_bytes(Path(name) / "data", f"{PREFIX}collector.state-*")
    Console(highlight=False, width=110).print(table(steps, days, state_bytes))


if __name__ == "__main__":
    main(sys.argv[1:])
