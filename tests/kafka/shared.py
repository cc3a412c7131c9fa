"""A broker that all processes of a test run share: while it runs, it takes some per cent of a core."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path

from tests.kafka.broker import NEWEST, Broker

_started: list[Broker] = []
"""Those that this process has started. They may be needed for longer than the process runs."""


@contextmanager
def shared(home: Path, release: Path = NEWEST) -> Iterator[str]:
    """The address of a broker with its files in `home`. The first process starts it, and the last one ends it.

    Each process locks the file `users` for as long as it runs, so one that is killed does not count.
    """
    home.mkdir(exist_ok=True)
    running = home / "running"
    with (home / "users").open("w") as users:
        with _locked(home):
            flock(users, LOCK_SH)
            if not running.exists():
                broker = Broker(home / f"broker-{os.getpid()}", release=release)
                try:
                    broker.start()
                except BaseException:
                    broker.kill()
                    raise
                _started.append(broker)
                running.write_text(f"{broker.pid} {broker.address}")
        pid, address = running.read_text().split()
        try:
            yield address
        finally:
            with _locked(home), suppress(BlockingIOError, ProcessLookupError):  # the broker may have ended by itself
                flock(users, LOCK_EX | LOCK_NB)  # refused while another process has it
                running.unlink()
                os.kill(int(pid), signal.SIGKILL)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    with (home / "lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield
