"""A schema registry that the tests of a session share."""

import os
from collections.abc import Iterator

import pytest

from tests.needs import need
from tests.registry import server


@pytest.fixture(scope="session")
def registry_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a registry that is started here. Tests use subjects of their own, with the fixture `prefix`."""
    need("REGISTRY", server.unavailable_reason())
    with server.running(tmp_path_factory.mktemp("registry")) as url:
        yield url


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove overrides of the configuration, and proxies, from the environment."""
    for name in list(os.environ):
        if name.upper().startswith("COLLECTOR__") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
