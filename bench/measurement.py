"""Time and memory that a process used."""

import json
import resource
import sys
import time
from pathlib import Path

from msgspec import Struct


class Measurement(Struct, frozen=True):
    """The figures of one program."""

    events: int
    wall_s: float
    cpu_s: float
    peak_mib: float

    @property
    def per_wall_s(self) -> float:
        return self.events / self.wall_s

    @property
    def per_cpu_s(self) -> float:
        return self.events / self.cpu_s


class Stopwatch:
    """Measures this process from now on."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def report(self, events: int) -> None:
        """Print the measurement as JSON for the parent process."""
        wall_s, cpu_s = time.perf_counter() - self._wall, time.process_time() - self._cpu
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures = {"events": events, "wall_s": wall_s, "cpu_s": cpu_s, "peak_mib": peak_mib}
        sys.stdout.write(json.dumps(figures) + "\n")


def cpu_s(pid: int) -> float:
    """The CPU time that another process has used, in seconds. Linux counts it in hundredths."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def peak_mib(pid: int) -> float:
    """The peak memory of another process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def log_bytes(disk: Path, topic_pattern: str) -> int:
    """The bytes on a broker's disk of the logs of all topics that match the pattern."""
    return sum(log.stat().st_size for log in disk.glob(f"{topic_pattern}/*.log"))
