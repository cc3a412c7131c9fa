"""Restores the logging configuration after each test."""

import logging
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, stderr = root.handlers, root.level, sys.stderr
    yield
    root.handlers = handlers
    root.setLevel(level)
    sys.stderr = stderr
