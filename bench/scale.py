"""Measures many sources at the live edge: one daemon, one stream for each source, polled every minute.

    python -m bench.scale [SOURCES ...]

For each number of sources: CPU cores and memory, how late polls are, how long sessions take from the vendor to Kafka,
what the requests of operators cost, transactions, and bytes in Kafka a day.
"""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.live_vendor import AVAILABLE_S, EVERY_S, LENGTH_S
from bench.measurement import cpu_s, log_bytes, peak_mib
from tests.kafka.broker import free_port, running
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
    port, prefix = free_port(), f"scale{sources}."
    with running_module("bench.live_vendor") as url:
        config = home / f"scale{sources}.toml"
        config.write_text(configuration(kafka, prefix, port, url, range(1, sources + 1)), "utf-8")
        with (home / f"scale{sources}.log").open("wb") as log:
            command = [sys.executable, "-m", "collector", "run", "--config", str(config)]
            started = time.perf_counter()
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while not are_live(port):
                if process.poll() is not None or time.perf_counter() - started > START_S:
                    raise RuntimeError((home / f"scale{sources}.log").read_text("utf-8")[-2000:])
                time.sleep(1)
            live_after = time.perf_counter() - started
            since, cpu, disk_bytes = time.time(), cpu_s(process.pid), log_bytes(disk, f"{prefix}*")
            transactions = committed(port)
            time.sleep(MEASURED_S)
            cores = (cpu_s(process.pid) - cpu) / MEASURED_S
            transactions = committed(port) - transactions
            disk_bytes = log_bytes(disk, f"{prefix}*") - disk_bytes
            late = json.loads(get(f"{url}/polls?since={since}"))
            before: list[float] = []
            _observe(port, before)  # also until the metrics that were rendered last are too old to be sent again
            blocks: list[float] = []
            observer = Thread(target=_observe, args=(port, blocks))
            observer.start()
            metrics_s, metrics = _timed(port, "/metrics")
            status_s, status = _timed(port, "/api/status")
            observer.join()
            return Scale(
                sources,
                live_after,
                cores,
                peak_mib(process.pid),
                late,
                _delays(kafka, prefix, since),
                max(before),
                max(blocks),
                metrics_s,
                len(metrics) / 1e6,
                status_s,
                len(status) / 1e6,
                transactions / MEASURED_S,
                disk_bytes * DAY_S / MEASURED_S,
            )
        finally:
            process.terminate()
            process.wait(60)


def configuration(
    kafka: str, prefix: str, port: int, url: str, accounts: Iterable[int], interval_s: int = EVERY_S
) -> str:
    """A source for each account, with one stream that is polled at this interval."""
    since = datetime.now(UTC) - timedelta(minutes=2)
    head = f"""
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
[http]
listen = "127.0.0.1:{port}"
"""
    tables = (
        f"""
[sources.account{number:05}]
vendor = "seemetrix"
base_url = "{url}/api"
user_id = {number}
user_key = "scale-bench"
since = {since:%Y-%m-%dT%H:%M:%SZ}
streams.sessions.interval = "{interval_s}s"
"""
        for number in accounts
    )
    return head + "".join(tables)


def get(url: str) -> bytes:
    """The body of the response."""
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - on loopback
        body: bytes = response.read()
        return body


def are_live(port: int) -> bool:
    """Whether all streams of the daemon at this port are live."""
    try:
        streams = json.loads(get(f"http://127.0.0.1:{port}/api/status"))["streams"]
    except OSError:
        return False
    return bool(streams) and all(each["state"] == "live" for each in streams)


def _timed(port: int, path: str) -> tuple[float, bytes]:
    started = time.perf_counter()
    body = get(f"http://127.0.0.1:{port}{path}")
    return time.perf_counter() - started, body


def _observe(port: int, blocks: list[float]) -> None:
    """Note how long each response of /healthz takes, for some seconds."""
    ends = time.perf_counter() + 5
    while (requested := time.perf_counter()) < ends:
        get(f"http://127.0.0.1:{port}/healthz")
        blocks.append(time.perf_counter() - requested)
        time.sleep(PAUSE_S)


def committed(port: int) -> float:
    """How many transactions the daemon at this port has committed."""
    name = 'collector_transactions_total{outcome="committed"} '
    lines = get(f"http://127.0.0.1:{port}/metrics").decode().splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def _delays(kafka: str, prefix: str, since: float) -> list[float]:
    """From when a session could be requested until it was sent, for the sessions that ended since then."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 - needed only here

    options = {"bootstrap.servers": kafka, "group.id": f"{prefix}reader", "enable.auto.commit": False}
    consumer = Consumer(options | {"enable.partition.eof": True})
    topic = f"{prefix}seemetrix.sessions"
    partitions = list(consumer.list_topics(topic, 30).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, each, 0) for each in partitions])
    delays, open_partitions = [], set(partitions)
    while open_partitions:
        message = consumer.poll(30)
        if message is None:
            raise RuntimeError("the broker did not respond")
        if message.error():
            open_partitions.discard(message.partition())
            continue
        start = datetime.fromisoformat(dict(message.headers())["ce_time"].decode())
        available_at = start.timestamp() + LENGTH_S + AVAILABLE_S
        if available_at > since:
            delays.append(message.timestamp()[1] / 1000 - available_at)
    consumer.close()
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
