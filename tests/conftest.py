"""What all tests share: simulated time is in `simulated.py`, the real broker here."""

import logging
import os
from collections.abc import Iterator
from itertools import count
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, settings

from collector import secrets
from tests.faults import table
from tests.faults.table import Row
from tests.kafka import broker
from tests.needs import need

settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("wide", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

FAULT_ROWS = "fault_rows"
_prefixes = count()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What a worker of xdist measured goes to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput[FAULT_ROWS] = msgspec.to_builtins(table.rows)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:  # noqa: ANN401 - xdist's
    table.rows.extend(msgspec.convert(getattr(node, "workeroutput", {}).get(FAULT_ROWS, []), list[Row]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the fault tests measured, whether they passed or not."""
    if table.rows:
        terminalreporter.write_line(table.show(table.rows))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Kafka: the one that COLLECTOR_TEST_KAFKA names, or one that is started here."""
    if given := os.environ.get("COLLECTOR_TEST_KAFKA"):
        yield given
        return
    need("KAFKA", broker.unavailable_reason())
    with broker.running(tmp_path_factory.mktemp("kafka")) as node:
        yield node.address


@pytest.fixture
def prefix() -> str:
    """A topic prefix of the test's own: tests that share a broker share no topic."""
    return f"t{os.getpid()}-{next(_prefixes)}-"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No log lines, unless a test sets them up: they are looked at where they are promised."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """A test's secrets are concealed in that test alone."""
    before = secrets._known[:]
    yield
    secrets._known[:] = before
