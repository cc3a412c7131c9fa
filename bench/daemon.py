"""Starts the real daemon in a process of its own, and observes it."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench import measurement
from bench.history import KEY
from tests.kafka.broker import free_port

STOP_S = 60


class Config(Struct, frozen=True):
    """A configuration file, and the port at which the daemon serves its metrics and status."""

    path: Path
    port: int

    @property
    def log(self) -> Path:
        """The log of the daemon that was started last."""
        return self.path.with_suffix(".log")


def write_config(home: Path, name: str, kafka: str, sources: str, prefix: str = "") -> Config:
    """Write a configuration with these tables of sources, whose topics have this prefix."""
    config = Config(home / f"{name}.toml", free_port())
    config.path.write_text(
        f"""
[kafka]
bootstrap_servers = "{kafka}"
topic_prefix = "{prefix}"
group = "{prefix}group"
[http]
listen = "127.0.0.1:{config.port}"
{sources}""",
        "utf-8",
    )
    return config


def source(number: int, url: str, since: datetime, further: str = "") -> str:
    """The tables of a Seemetrix source: an account with this number, and further lines."""
    return f"""
[sources.account{number:05}]
vendor = "seemetrix"
base_url = "{url}"
user_id = {number}
user_key = "{KEY}"
since = {since:%Y-%m-%dT%H:%M:%SZ}
{further}
"""


def get(url: str) -> bytes:
    """The body of a response from loopback. Raises OSError."""
    with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - on loopback
        body: bytes = response.read()
        return body


class Daemon:
    """A process of `collector run`."""

    def __init__(self, process: subprocess.Popen[bytes], config: Config) -> None:
        self.started = time.time()
        self._process = process
        self._config = config

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """The CPU time that it has used so far."""
        return measurement.cpu_s(self.pid)

    @property
    def peak_mib(self) -> float:
        """Its peak memory so far."""
        return measurement.peak_mib(self.pid)

    def get(self, path: str) -> bytes:
        """The body of a response. Raises OSError."""
        return get(f"http://127.0.0.1:{self._config.port}{path}")

    def streams(self) -> Sequence[Mapping[str, Any]]:
        """The streams in the status; none while the daemon does not respond."""
        try:
            found: Sequence[Mapping[str, Any]] = json.loads(self.get("/api/status"))["streams"]
        except OSError:
            return ()
        return found

    def are_live(self) -> bool:
        """Whether all streams are live."""
        found = self.streams()
        return bool(found) and all(each["state"] == "live" for each in found)

    def responds(self) -> bool:
        """Whether the server of the daemon responds."""
        try:
            return bool(self.get("/healthz"))
        except OSError:
            return False

    def logged(self, event: str) -> list[Mapping[str, Any]]:
        """The lines of the log with this event."""
        lines = map(json.loads, self._config.log.read_text("utf-8").splitlines())
        return [each for each in lines if each["event"] == event]

    def transactions(self) -> float:
        """How many transactions it has committed."""
        return self.total('collector_transactions_total{outcome="committed"}')

    def total(self, series: str) -> float:
        """The sum of a metric over all its labels, or of the series with these labels."""
        lines = self.get("/metrics").decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{re.escape(series)}[{{ ]", line))

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Stop it with SIGTERM."""
        self._process.terminate()
        self._process.wait(STOP_S)

    def until(self, is_reached: Callable[[], bool], within_s: float, pause_s: float = 0.1) -> None:
        """Return when the condition holds. Raises RuntimeError if the daemon ends, or takes longer than that."""
        deadline = time.monotonic() + within_s
        while not is_reached():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(self._config.log.read_text("utf-8")[-2000:])
            time.sleep(pause_s)


def first_polls(url: str, daemon: Daemon) -> Mapping[str, float]:
    """When each account has first requested its newest sessions from the vendor since the daemon's start, if it has."""
    requests: Mapping[str, Sequence[float]] = json.loads(get(f"{url}/requests"))
    first = {user: [at for at in times if at >= daemon.started] for user, times in requests.items()}
    return {user: times[0] for user, times in first.items() if times}


def start(config: Config, program: Sequence[str] = ("collector",)) -> Daemon:
    """Start the daemon with this configuration. `program` is a module that runs it, with arguments of its own."""
    with config.log.open("wb") as log:
        command = [sys.executable, "-m", *program, "run", "--config", str(config.path)]
        return Daemon(subprocess.Popen(command, stdout=log, stderr=log), config)


@contextmanager
def running_daemon(config: Config, program: Sequence[str] = ("collector",)) -> Iterator[Daemon]:
    """The daemon as `start` starts it, stopped at the end of the block."""
    daemon = start(config, program)
    try:
        yield daemon
    finally:
        daemon.stop()
