"""Runs everything, and prints the tables. What each contender is: README.md beside this."""

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench import stages
from bench.history import EVENTS_A_SESSION, KEY, SESSIONS, SINCE, UNTIL, USER
from bench.measured import Measured, cpu_s, peak_mib
from tests.kafka.broker import free_port, running

EVENTS = SESSIONS * EVENTS_A_SESSION
TOPICS = ("seemetrix.sessions", "seemetrix.attention", "seemetrix.emotions", "seemetrix.content_views")
GIVE_UP_S = 900


def main() -> None:
    out = Console(highlight=False, width=110)
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker, _vendor() as url:
        collector, slowest_s = _collector(Path(name), broker.address, url)
        found = {"(a) the collector, at its defaults": collector}
        _say(out, found, slowest_s, Path(name) / "data")
        others = {
            "(b) a plain program, aiokafka.send": ["bench.plain", broker.address, url],
            "(c) encoded before, librdkafka": ["bench.librdkafka", broker.address],
            "(d) encoded before, prebuilt batches": ["bench.limit", broker.address],
        }
        for index, (what, (module, *arguments)) in enumerate(others.items()):
            prefix = f"bench{index}."
            _create(broker.address, prefix)
            told = subprocess.run(
                [sys.executable, "-m", module, *arguments, prefix], check=True, capture_output=True, timeout=GIVE_UP_S
            )
            found[what] = msgspec.json.decode(told.stdout, type=Measured)
        out.print(_table(found))
        out.print(stages.table(url, broker.address))


def _collector(home: Path, kafka: str, url: str) -> tuple[Measured, float]:
    """The real daemon, from its start until the history is complete; and the slowest answer of /healthz."""
    port = free_port()
    config = home / "config.toml"
    config.write_text(
        f"""
[kafka]
bootstrap_servers = "{kafka}"
[http]
listen = "127.0.0.1:{port}"
[sources.mall]
vendor = "seemetrix"
base_url = "{url}"
user_id = {USER}
user_key = "{KEY}"
since = {SINCE:%Y-%m-%dT%H:%M:%SZ}
until = {UNTIL:%Y-%m-%dT%H:%M:%SZ}
""",
        encoding="utf-8",
    )
    with (home / "collector.log").open("wb") as log:
        command = [sys.executable, "-m", "collector", "run", "--config", str(config)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        while _get(port, "/healthz") is None:
            time.sleep(0.01)
        began, begun_cpu_s = time.perf_counter(), cpu_s(process.pid)
        slowest_s = looked = 0.0
        row: dict[str, Any] = {"state": ""}
        while row["state"] != "complete":
            asked = time.perf_counter()
            _get(port, "/healthz")
            slowest_s = max(slowest_s, time.perf_counter() - asked)
            if asked - looked > 1 and (status := _get(port, "/api/status")) is not None:
                looked, (row,) = asked, json.loads(status)["streams"]
            if asked - began > GIVE_UP_S or process.poll() is not None:
                raise RuntimeError((home / "collector.log").read_text("utf-8")[-2000:])
            time.sleep(0.02)
        wall_s = time.perf_counter() - began
        published = sum(row["counts"]["events"].values())
        if published != EVENTS:
            raise RuntimeError(f"expected {EVENTS} events, got {published}")
        return Measured(EVENTS, wall_s, cpu_s(process.pid) - begun_cpu_s, peak_mib(process.pid)), slowest_s
    finally:
        process.terminate()
        process.wait(40)


@contextmanager
def _vendor() -> Iterator[str]:
    process = subprocess.Popen([sys.executable, "-m", "bench.vendor"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("it was opened with a pipe")
        yield process.stdout.readline().decode().strip()
    finally:
        process.kill()
        process.wait()


def _create(kafka: str, prefix: str) -> None:
    from confluent_kafka.admin import AdminClient, NewTopic  # noqa: PLC0415 - only here

    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_topics([NewTopic(prefix + topic, 6, 1) for topic in TOPICS]).values():
        future.result(30)


def _get(port: int, path: str) -> Any:  # noqa: ANN401 - bytes, or nothing while it does not answer
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.read()
    except OSError:
        return None


def _say(out: Console, found: dict[str, Measured], slowest_s: float, disk: Path) -> None:
    (collector,) = found.values()
    out.print(f"{SESSIONS:,} sessions, {EVENTS:,} events; slowest /healthz {slowest_s * 1000:.0f} ms; ", end="")
    out.print(f"the collector's peak is {collector.peak_mib:.0f} MiB")
    events, state = (_bytes(disk, name) for name in ("seemetrix.*", "collector.state-*"))
    out.print(f"on the broker's disk {events / EVENTS:.0f} bytes an event, {state / SESSIONS:.0f} of state a session")


def _bytes(disk: Path, topic: str) -> int:
    """What the topic's partitions hold, one replica of them."""
    return sum(log.stat().st_size for log in disk.glob(f"{topic}/*.log"))


def _table(found: dict[str, Measured]) -> Table:
    table = Table("", "events/s", "events/CPU s", "a : this", "wall s", "CPU s", "peak MiB")
    collector = next(iter(found.values()))
    for what, each in found.items():
        ratio = collector.per_cpu_s / each.per_cpu_s
        table.add_row(
            what,
            f"{each.per_wall_s:,.0f}",
            f"{each.per_cpu_s:,.0f}",
            f"{ratio:.2f}",
            f"{each.wall_s:.1f}",
            f"{each.cpu_s:.1f}",
            f"{each.peak_mib:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
