"""Measures what polls and reconnections leave behind: 50 sources, polled every second, for some minutes.

    python -m bench.leaks [SECONDS]

In six minutes, each source is polled as often as in six hours by default. Every minute the only broker restarts, killed
and stopped in turn, and the vendor closes every tenth connection. Figures are taken when all streams are live again.
"""

import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.broker import running
from bench.daemon import Daemon, running_daemon, source, write_config
from tests.census import Census, growth
from tests.kafka.broker import Broker
from tests.processes import running_module

SOURCES = 50
MEASURED_S = 480.0
"""Restarts of the broker take some of it."""
WARM_UP_S = 90.0
"""With one restart. Ledgers and pools have their size by then."""
RESTART_EVERY_S = 60.0
DOWN_S = 3.0
QUIET_S = 15.0
"""From when all streams are live until the figures are taken: former connections are closed by then."""
START_S = 240.0
POLLS_OF_SIX_HOURS = 360
LEAST = 200
"""The least growth that is shown. One object for each poll would be 18,000; for each epoch, a few hundred."""


class Figures(Struct, frozen=True):
    """What the process holds at one time."""

    polls: float
    epochs: float
    rss_mib: float
    files: int
    sockets: int
    threads: int
    objects: bytes
    """The encoded census."""


def _wait_until_live(daemon: Daemon) -> None:
    """Return when all streams are live."""
    daemon.until(daemon.are_live, START_S, pause_s=0.5)


def _figures(daemon: Daemon, census: Path) -> Figures:
    """The figures, once all streams have been live for a while. The daemon writes its census to this file."""
    _wait_until_live(daemon)
    time.sleep(QUIET_S)
    census.unlink(missing_ok=True)
    daemon.signal(signal.SIGUSR1)
    daemon.until(census.exists, START_S)
    proc = Path(f"/proc/{daemon.pid}")
    status = dict(re.findall(r"^(\w+):\s+(\d+)", (proc / "status").read_text("utf-8"), re.MULTILINE))
    targets = [str(each.readlink()) for each in (proc / "fd").iterdir()]
    return Figures(
        polls=daemon.total("collector_polls_total"),
        epochs=daemon.total("collector_state_restore_duration_seconds_count"),
        rss_mib=int(status["VmRSS"]) / 1024,
        files=len(targets),
        sockets=sum(each.startswith("socket:") for each in targets),
        threads=int(status["Threads"]),
        objects=census.read_bytes(),
    )


def _tables(url: str) -> str:
    since = datetime.now(UTC) - timedelta(minutes=1)
    stream = """[sources.account{:05}.streams.sessions]
interval = "1s"
settle = "2s"
allowed_lateness = "1m"
sweep_every = "10s"
"""
    return '[log]\nlevel = "warning"\n' + "".join(
        source(number, f"{url}/api", since, stream.format(number)) for number in range(1, SOURCES + 1)
    )


def _run(daemon: Daemon, broker: Broker, seconds: float) -> None:
    """Let time pass, and restart the broker every minute."""
    ends, number = time.monotonic() + seconds, 0
    while (left_s := ends - time.monotonic()) > 0:
        time.sleep(min(left_s, RESTART_EVERY_S))
        broker.stop() if number % 2 else broker.kill()
        time.sleep(DOWN_S)
        broker.start()
        _wait_until_live(daemon)
        number += 1


def measured(home: Path, broker: Broker, seconds: float) -> Sequence[Figures]:
    """The figures after the warm-up, after half of the time, and at the end."""
    census = home / "census"
    with (
        running_module("bench.closing_vendor") as url,
        running_daemon(
            write_config(home, "leaks", broker.address, _tables(url)), ("bench.counted", str(census))
        ) as daemon,
    ):
        _wait_until_live(daemon)
        _run(daemon, broker, WARM_UP_S)
        found = [_figures(daemon, census)]
        for _ in range(2):
            _run(daemon, broker, seconds / 2)
            found.append(_figures(daemon, census))
        return found


def tables(figures: Sequence[Figures]) -> Sequence[Table]:
    """The figures, and the types and containers that have grown."""
    first, *_, last = figures
    polls = (last.polls - first.polls) / SOURCES
    hours = 6 * polls / POLLS_OF_SIX_HOURS
    held = Table(
        f"{polls:,.0f} polls of each source, as in {hours:.1f} hours", "after the warm-up", "half-way", "at the end"
    )
    censuses = [msgspec.json.decode(each.objects, type=Census) for each in figures]
    rows = {
        "polls": [f"{each.polls:,.0f}" for each in figures],
        "epochs": [f"{each.epochs:,.0f}" for each in figures],
        "memory (RSS), MiB": [f"{each.rss_mib:.1f}" for each in figures],
        "open files": [f"{each.files}" for each in figures],
        "of these, sockets": [f"{each.sockets}" for each in figures],
        "threads": [f"{each.threads}" for each in figures],
        "objects": [f"{sum(each.types.values()):,}" for each in censuses],
        "items of containers": [f"{sum(n for _, n in each.containers.values()):,}" for each in censuses],
    }
    for name, values in rows.items():
        held.add_row(name, *values)
    grown = Table(f"grown by {LEAST} or more", "half-way", "at the end")
    halves = [growth(first.objects, each.objects, LEAST) for each in figures[1:]]
    for name in sorted({name for half in halves for name in half}):
        grown.add_row(name, *(f"{half[name]:,}" if name in half else "" for half in halves))
    grown.add_row("the largest new container", *(_largest_new(censuses[0], each) for each in censuses[1:]))
    return held, grown


def _largest_new(before: Census, after: Census) -> str:
    """The largest container that was not there before: it explains objects that only one census has."""
    new = [found for each, found in after.containers.items() if each not in before.containers]
    name, length = max(new, key=lambda found: found[1], default=("none", 0))
    return f"{name}: {length:,}"


def main(arguments: Sequence[str] = ()) -> None:
    seconds = float(arguments[0]) if arguments else MEASURED_S
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker:
        figures = measured(Path(name), broker, seconds)
    out = Console(highlight=False, width=110)
    for table in tables(figures):
        out.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
