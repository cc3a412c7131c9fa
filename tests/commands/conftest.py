"""Fixtures of the tests of commands."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove overrides of the configuration from the environment."""
    for name in [name for name in os.environ if name.upper().startswith("COLLECTOR__")]:
        monkeypatch.delenv(name)
