"""Logs that a test sets up are gone after it."""

import logging
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, stderr = root.handlers, root.level, sys.stderr
    yield
    root.handlers = handlers
    root.setLevel(level)
    sys.stderr = stderr
