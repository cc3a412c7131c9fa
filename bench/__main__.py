"""Runs every program and prints the tables, or those of some parts, such as `speed`.

README.md describes them.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench import attacks, backfills, calls, edges, late, leaks, quiet, replicas, restores, scale, spread, stages
from bench.broker import running
from bench.daemon import running_daemon, source, write_config
from bench.history import EVENTS_PER_SESSION, SESSIONS, SINCE, UNTIL, USER
from bench.measurement import Measurement, log_bytes
from tests.hostile.attacks import ATTACKS
from tests.processes import running_module

EVENTS = SESSIONS * EVENTS_PER_SESSION
TOPICS = ("seemetrix.sessions", "seemetrix.attention", "seemetrix.emotions", "seemetrix.content_views")
TIMEOUT_S = 900


def speed() -> None:
    """What an event costs, by programs, stages, attacks and calls."""
    out = Console(highlight=False, width=110)
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker, running_module("bench.vendor") as url:
        collector, slowest_s = _run_collector(Path(name), broker.address, url)
        measurements = {"(a) collector run, default settings": collector}
        _print_summary(out, measurements, slowest_s, Path(name) / "data")
        others = {
            "(b) plain program, aiokafka.send": ["bench.plain", broker.address, url],
            "(c) encoded in advance, librdkafka": ["bench.with_librdkafka", broker.address],
            "(d) encoded in advance, prebuilt batches": ["bench.prebuilt", broker.address],
        }
        for index, (what, (module, *arguments)) in enumerate(others.items()):
            prefix = f"bench{index}."
            _create_topics(broker.address, [prefix + topic for topic in TOPICS])
            measurements[what] = _measured(module, *arguments, prefix)
        _create_topics(broker.address, ["bench.java"])
        measurements["(e) the same bytes, kafka-producer-perf-test"] = _measured(
            "bench.with_java", broker.address, "bench.java"
        )
        copied = _event_bytes(Path(name) / "data")
        measurements["(f) the bytes of (a) in Kafka, through a socket"] = _measured("bench.copied", str(copied))
        out.print(_table(measurements))
        out.print(stages.table(url, broker.address))
        out.print(attacks.table(broker.address, Path(name), list(ATTACKS)))
    out.print(calls.table())


def _run_collector(home: Path, kafka: str, url: str) -> tuple[Measurement, float]:
    """Run the daemon until the history is complete; return its measurement and the slowest response of /healthz."""
    slowest_s = status_at = 0.0
    row: Mapping[str, Any] = {"state": ""}

    def is_complete() -> bool:
        nonlocal slowest_s, status_at, row
        requested = time.perf_counter()
        daemon.responds()
        slowest_s = max(slowest_s, time.perf_counter() - requested)
        if requested - status_at > 1 and (streams := daemon.streams()):
            status_at, (row,) = requested, streams
        return bool(row["state"] == "complete")

    tables = source(USER, url, SINCE, f"until = {UNTIL:%Y-%m-%dT%H:%M:%SZ}")
    with running_daemon(write_config(home, "config", kafka, tables)) as daemon:
        daemon.until(daemon.responds, TIMEOUT_S, pause_s=0.01)
        started, start_cpu_s = time.perf_counter(), daemon.cpu_s
        daemon.until(is_complete, TIMEOUT_S, pause_s=0.1)
        wall_s = time.perf_counter() - started
        published = sum(row["counts"]["events"].values())
        if published != EVENTS:
            raise RuntimeError(f"expected {EVENTS} events, got {published}")
        return Measurement(EVENTS, wall_s, daemon.cpu_s - start_cpu_s, daemon.peak_mib), slowest_s


def _measured(module: str, *arguments: str) -> Measurement:
    command = [sys.executable, "-m", module, *arguments]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=TIMEOUT_S)
    return msgspec.json.decode(process.stdout, type=Measurement)


def _event_bytes(disk: Path) -> int:
    return log_bytes(disk, "seemetrix.*")


def _create_topics(kafka: str, topics: Iterable[str]) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic  # noqa: PLC0415 - needed only here

    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_topics([NewTopic(topic, 6, 1) for topic in topics]).values():
        future.result(30)


def _print_summary(out: Console, measurements: dict[str, Measurement], slowest_s: float, disk: Path) -> None:
    (collector,) = measurements.values()
    out.print(f"{SESSIONS:,} sessions, {EVENTS:,} events; slowest /healthz {slowest_s * 1000:.0f} ms; ", end="")
    out.print(f"peak memory of the collector {collector.peak_mib:.0f} MiB")
    events, state = _event_bytes(disk), log_bytes(disk, "collector.state-*")
    out.print(
        f"bytes on the broker's disk: {events / EVENTS:.0f} per event, {state / SESSIONS:.0f} of state per session"
    )


def _table(measurements: dict[str, Measurement]) -> Table:
    table = Table("", "events/s", "events/CPU s", "a : this", "wall s", "CPU s", "peak MiB")
    collector = next(iter(measurements.values()))
    for what, each in measurements.items():
        ratio = collector.per_cpu_s / each.per_cpu_s
        table.add_row(
            what,
            f"{each.per_wall_s:,.0f}",
            f"{each.per_cpu_s:,.0f}",
            f"{ratio:.3f}",
            f"{each.wall_s:.1f}",
            f"{each.cpu_s:.2f}",
            f"{each.peak_mib:.0f}",
        )
    return table


PARTS: Mapping[str, Callable[[], None]] = {
    "speed": speed,
    "edges": edges.main,
    "spread": spread.main,
    "restores": restores.main,
    "backfills": backfills.main,
    "late": late.main,
    "scale": scale.main,
    "quiet": quiet.main,
    "leaks": leaks.main,
    "replicas": replicas.main,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()
