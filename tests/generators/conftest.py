"""The messages, which are simulated once for all processes that run tests."""

import json
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from tests.generators.messages import Messages, example_values, invalid_values, simulated_values


@pytest.fixture(scope="session")
def messages(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Messages:
    own = tmp_path_factory.mktemp("simulated")
    shared = own.parent if worker_id == "master" else own.parent.parent
    return Messages([*example_values().values(), *_simulated_once(shared, own)], list(invalid_values()))


def _simulated_once(shared: Path, own: Path) -> list[dict[str, object]]:
    stored = shared / "simulated.json"
    with stored.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not stored.exists():
            stored.write_text(json.dumps(simulated_values(own)), "utf-8")
    found: list[dict[str, object]] = json.loads(stored.read_text("utf-8"))
    assert len(found) > 3000
    return found
