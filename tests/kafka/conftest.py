"""A guarded broker, for the tests of how one is let in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka import secured
from tests.kafka.broker import why_not
from tests.kafka.papers import Papers
from tests.kafka.secured import SecuredBroker
from tests.needs import need


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """Of the tests' own: one that is given has no such doors."""
    need("KAFKA", why_not())
    with secured.running(tmp_path_factory.mktemp("guarded")) as broker:
        yield broker


@pytest.fixture
def papers(tmp_path: Path, guarded: SecuredBroker) -> Papers:
    return Papers(tmp_path, guarded)
