"""Measures what a hostile vendor costs its neighbours: run by `make bench`, or alone with `python -m bench.attacks`.

A daemon polls a good vendor, and for each attack a hostile account at each vendor. One attack follows the other.
"""

import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.broker import running
from bench.measurement import cpu_s, peak_mib
from tests.hostile.attacks import ATTACKS
from tests.hostile.configuration import configuration
from tests.hostile.server import hostile_vendor, start_attack
from tests.kafka.broker import free_port

ATTACK_S = 8.0
"""How long each attack is observed."""
SETTLE_S = 5.0


def table(kafka: str, home: Path, attacks: Sequence[str]) -> Table:
    """For each attack, the longest time in which the daemon did not respond, its CPU time, and its peak memory.

    The peak is that of all attacks so far.
    """
    found = Table("attack", "longest block ms", "CPU s", "peak MiB")
    port = free_port()
    with hostile_vendor() as url:
        config = home / "attacks.toml"
        config.write_text(configuration(kafka, "attacks.", port, url, attacks), "utf-8")
        with (home / "attacks.log").open("wb") as log:
            command = [sys.executable, "-m", "collector", "run", "--config", str(config)]
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while not _responds(port):
                if process.poll() is not None:
                    raise RuntimeError((home / "attacks.log").read_text("utf-8")[-2000:])
                time.sleep(0.05)
            _longest_block_s(port, SETTLE_S)
            found.add_row("none", *_observed(port, process.pid))
            for name in attacks:
                start_attack(url, name)
                row = _observed(port, process.pid)
                sys.stderr.write(f"{name}: {', '.join(row)}\n")
                found.add_row(name, *row)
            started = time.perf_counter()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            found.add_row("SIGTERM", f"{(time.perf_counter() - started) * 1000:.0f}", "", "")
        finally:
            process.kill()
            process.wait()
    return found


def _observed(port: int, pid: int) -> tuple[str, str, str]:
    cpu_before_s = cpu_s(pid)
    block_s = _longest_block_s(port, ATTACK_S)
    return f"{block_s * 1000:.0f}", f"{cpu_s(pid) - cpu_before_s:.1f}", f"{peak_mib(pid):.0f}"


def _longest_block_s(port: int, seconds: float) -> float:
    """The longest time that a response of /healthz took."""
    longest_s, ends = 0.0, time.perf_counter() + seconds
    while (requested := time.perf_counter()) < ends:
        if not _responds(port):
            return float("inf")
        longest_s = max(longest_s, time.perf_counter() - requested)
        time.sleep(0.005)
    return longest_s


def _responds(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as response:
            return bool(response.status == 200)  # noqa: PLR2004 - OK
    except OSError:
        return False


def main() -> None:
    attacks = sys.argv[1:] or list(ATTACKS)
    with tempfile.TemporaryDirectory() as name, running(Path(name)) as broker:
        Console(highlight=False, width=100).print(table(broker.address, Path(name), attacks))
        if len(attacks) == 1:
            sys.stdout.write((Path(name) / "attacks.log").read_text("utf-8")[-6000:])


if __name__ == "__main__":
    main()
