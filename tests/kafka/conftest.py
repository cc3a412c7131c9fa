"""Brokers that let in who they know, and allow what there are rules for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka import ruled as ruled_
from tests.kafka import secured
from tests.kafka.broker import why_not
from tests.kafka.papers import Papers
from tests.kafka.ruled import RuledBroker
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


@pytest.fixture(scope="session")
def ruled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RuledBroker]:
    """With a user and a password, and rules that a test makes."""
    need("KAFKA", why_not())
    with ruled_.running(tmp_path_factory.mktemp("ruled")) as broker:
        yield broker
