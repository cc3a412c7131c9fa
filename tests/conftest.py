"""Fixtures of all tests, such as a real Kafka broker. Simulated time is in `simulated.py`."""

import logging
import os
from collections.abc import Iterator
from itertools import accumulate, chain, count, groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, settings

from collector import redaction
from tests import skips
from tests.faults import table
from tests.faults.table import Row
from tests.kafka import broker
from tests.kafka.shared import shared
from tests.needs import need

settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "wide",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "2000")),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

FAULT_ROWS = "fault_rows"
_prefixes = count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the modules that mostly wait for brokers: where only they are left, the processor is idle."""
    modules = [list(each) for _, each in groupby(items, lambda item: item.path)]
    waiting = [each for each in modules if each[0].path.parent.name == "kafka"]
    others = [each for each in modules if each[0].path.parent.name != "kafka"]
    step = sum(map(len, others)) / (len(waiting) + 1)
    places = [step * number for number in range(1, len(waiting) + 1)]
    ends = accumulate(map(len, others))
    placed = sorted([*zip(places, waiting, strict=True), *zip(ends, others, strict=True)], key=itemgetter(0))
    items[:] = chain.from_iterable(module for _, module in placed)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the measurements of an xdist worker to the main process, which prints them."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[FAULT_ROWS] = msgspec.to_builtins(table.rows)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - a type of xdist
    table.rows.extend(msgspec.convert(getattr(node, "workeroutput", {}).get(FAULT_ROWS, []), list[Row]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the measurements of the fault tests, whether they passed or not."""
    if table.rows:
        terminalreporter.write_line(table.show(table.rows))
    skips.write(terminalreporter)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of a test run have in common."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


@pytest.fixture(scope="session")
def kafka(shared_folder: Path) -> Iterator[str]:
    """The address of a real broker: that of COLLECTOR_TEST_KAFKA, or of one that is started here."""
    if given := os.environ.get("COLLECTOR_TEST_KAFKA"):
        yield given
        return
    need("KAFKA", broker.unavailable_reason())
    with shared(shared_folder / "kafka") as address:
        yield address


@pytest.fixture
def prefix() -> str:
    """A topic prefix that no other test uses: tests share a broker."""
    return f"t{os.getpid()}-{next(_prefixes)}-"


@pytest.fixture(autouse=True)
def silence_logs() -> Iterator[None]:
    """Discard log lines, unless the test configures logging."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def reset_secrets() -> Iterator[None]:
    """Redact a test's secrets only in that test."""
    before = redaction._known[:]
    yield
    redaction._known[:] = before
