"""The messages, which are simulated once for all processes that run tests."""

import json
from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from tests.generators.messages import Messages, example_values, invalid_values, simulated_values


@pytest.fixture(scope="session")
def messages(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Messages:
    simulated = _simulated_once(shared_folder, tmp_path_factory.mktemp("simulated"))
    return Messages([*example_values().values(), *simulated], list(invalid_values()))


def _simulated_once(shared: Path, own: Path) -> list[dict[str, object]]:
    stored = shared / "simulated.json"
    with stored.with_suffix(".lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not stored.exists():
            stored.write_text(json.dumps(simulated_values(own)), "utf-8")
    found: list[dict[str, object]] = json.loads(stored.read_text("utf-8"))
    assert len(found) > 3000
    return found
