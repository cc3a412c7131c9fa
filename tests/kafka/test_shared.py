"""The broker that the processes of a test run share."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka import shared as shared_module
from tests.kafka.shared import shared


class FakeBroker:
    """A process that does nothing, instead of a broker."""

    address = "127.0.0.1:1"
    started: list[subprocess.Popen[bytes]]
    failure: Exception | None = None

    def __init__(self, home: Path, **_: object) -> None:
        home.mkdir()

    @property
    def pid(self) -> int:
        return self.started[-1].pid

    def start(self) -> None:
        self.started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        if self.failure is not None:
            raise self.failure

    def kill(self) -> None:
        self.started[-1].kill()
        self.started[-1].wait()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(FakeBroker, "started", processes, raising=False)
    monkeypatch.setattr(shared_module, "Broker", FakeBroker)
    yield processes
    for each in processes:
        each.kill()
        each.wait()


def test_a_broker_that_does_not_respond_is_ended(
    started: list[subprocess.Popen[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeBroker, "failure", RuntimeError("no response"))
    with pytest.raises(RuntimeError), shared(tmp_path / "kafka"):
        pass
    assert [-signal.SIGKILL] == [each.poll() for each in started]


def test_the_first_user_starts_it_and_the_last_one_ends_it(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    home = tmp_path / "kafka"
    with shared(home) as address:
        with shared(home) as same:
            assert address == same
        assert [None] == [each.poll() for each in started]
    assert [-signal.SIGKILL] == [each.wait(10) for each in started]


def test_a_broker_that_has_ended_is_not_an_error_of_the_last_user(
    started: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    with shared(tmp_path / "kafka"):
        started[0].kill()
        started[0].wait()
