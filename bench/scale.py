"""Measures many sources at the live edge: one daemon, one stream for each source, polled every minute.

    python -m bench.scale [SOURCES ...]

For each number of sources: CPU cores and memory, how late polls are, how long sessions take from the vendor to Kafka,
what the requests of operators cost, transactions, and bytes in Kafka a day.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.broker import running
from bench.daemon import Daemon, get, running_daemon, source, write_config
from bench.live_vendor import AVAILABLE_S, EVERY_S, LENGTH_S
from bench.measurement import log_bytes
from bench.reading import committed_messages
from tests.processes import running_module

SOURCES = (500, 2000)
MEASURED_S = 180
"""Each source is polled three times."""
START_S = 240
DAY_S = 86_400
PAUSE_S = 0.005


class Scale(Struct, frozen=True):
    """The figures of one number of sources. Times are in seconds."""

    sources: int
    live_after: float
    cores: float
    peak_mib: float
    late: Sequence[float]
    delays: Sequence[float]
    longest_block_before: float
    """The longest response of /healthz while nothing else was requested."""
    longest_block: float
    """The longest response of /healthz while the metrics and the status were requested."""
    metrics: float
    metrics_mb: float
    status: float
    status_mb: float
    transactions_per_s: float
    bytes_per_day: float


def share(values: Sequence[float], part: float) -> float:
    """The value below which this part of the values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def measured(kafka: str, home: Path, disk: Path, sources: int) -> Scale:
    """Run the daemon with so many sources, wait until all are live, and measure for three minutes."""
    prefix = f"scale{sources}."
    with (
        running_module("bench.live_vendor") as url,
        running_daemon(
            write_config(home, f"scale{sources}", kafka, live_sources(url, range(1, sources + 1)), prefix)
        ) as daemon,
    ):
        daemon.until(daemon.are_live, START_S, pause_s=1)
        since = time.time()
        live_after, cpu, disk_bytes = since - daemon.started, daemon.cpu_s, log_bytes(disk, f"{prefix}*")
        transactions = daemon.transactions()
        time.sleep(MEASURED_S)
        cores = (daemon.cpu_s - cpu) / MEASURED_S
        transactions = daemon.transactions() - transactions
        disk_bytes = log_bytes(disk, f"{prefix}*") - disk_bytes
        late = json.loads(get(f"{url}/polls?since={since}"))
        before: list[float] = []
        _observe(daemon, before)  # also until the metrics that were rendered last are too old to be sent again
        blocks: list[float] = []
        observer = Thread(target=_observe, args=(daemon, blocks))
        observer.start()
        metrics_s, metrics = _timed(daemon, "/metrics")
        status_s, status = _timed(daemon, "/api/status")
        observer.join()
        return Scale(
            sources,
            live_after,
            cores,
            daemon.peak_mib,
            late,
            _delays(kafka, f"{prefix}seemetrix.sessions", since),
            max(before),
            max(blocks),
            metrics_s,
            len(metrics) / 1e6,
            status_s,
            len(status) / 1e6,
            transactions / MEASURED_S,
            disk_bytes * DAY_S / MEASURED_S,
        )


def live_sources(url: str, accounts: Iterable[int], interval_s: int = EVERY_S) -> str:
    """A source for each account of `bench.live_vendor`, with one stream that is polled at this interval."""
    since, interval = datetime.now(UTC) - timedelta(minutes=2), f'streams.sessions.interval = "{interval_s}s"'
    return "".join(source(number, f"{url}/api", since, interval) for number in accounts)


def _timed(daemon: Daemon, path: str) -> tuple[float, bytes]:
    started = time.perf_counter()
    body = daemon.get(path)
    return time.perf_counter() - started, body


def _observe(daemon: Daemon, blocks: list[float]) -> None:
    """Note how long each response of /healthz takes, for some seconds."""
    ends = time.perf_counter() + 5
    while (requested := time.perf_counter()) < ends:
        daemon.get("/healthz")
        blocks.append(time.perf_counter() - requested)
        time.sleep(PAUSE_S)


def _delays(kafka: str, topic: str, since: float) -> list[float]:
    """From when a session could be requested until it was sent, for the sessions that ended since then."""
    delays = []
    for message in committed_messages(kafka, topic):
        start = datetime.fromisoformat(dict(message.headers())["ce_time"].decode())
        available_at = start.timestamp() + LENGTH_S + AVAILABLE_S
        if available_at > since:
            delays.append(message.timestamp()[1] / 1000 - available_at)
    return delays


def table(figures: Sequence[Scale]) -> Table:
    """The figures as a table, a column for each number of sources."""
    found = Table("at the live edge", *(f"{each.sources:,} sources" for each in figures))
    rows = {
        "all streams live after, s": [f"{each.live_after:.0f}" for each in figures],
        "CPU cores": [f"{each.cores:.3f}" for each in figures],
        "peak memory, MiB": [f"{each.peak_mib:.0f}" for each in figures],
        f"gap between polls above {EVERY_S} s, 99 %, s": [f"{share(each.late, 0.99):.2f}" for each in figures],
        "longest": [f"{max(each.late):.2f}" for each in figures],
        "vendor to Kafka, 50 %, s": [f"{share(each.delays, 0.5):.1f}" for each in figures],
        "99 %": [f"{share(each.delays, 0.99):.1f}" for each in figures],
        "/metrics, ms (MB)": [f"{each.metrics * 1000:.0f} ({each.metrics_mb:.2f})" for each in figures],
        "/api/status, ms (MB)": [f"{each.status * 1000:.0f} ({each.status_mb:.2f})" for each in figures],
        "longest /healthz, ms": [f"{each.longest_block_before * 1000:.0f}" for each in figures],
        "longest while these are requested": [f"{each.longest_block * 1000:.0f}" for each in figures],
        "transactions a second": [f"{each.transactions_per_s:.1f}" for each in figures],
        "bytes in Kafka a day, MB": [f"{each.bytes_per_day / 1e6:,.0f}" for each in figures],
    }
    for name, values in rows.items():
        found.add_row(name, *values)
    return found


def main(arguments: Sequence[str] = ()) -> None:
    numbers = [int(each) for each in arguments] or SOURCES
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker:
        figures = [measured(broker.address, Path(name), Path(name) / "data", each) for each in numbers]
    Console(highlight=False, width=110).print(table(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
