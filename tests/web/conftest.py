"""Fixtures: a process with its HTTP server, and one browser for the tests of a module."""

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.web.browser import browsing
from tests.web.served import Served, one_stream


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Of the session's scope, because the browser outlives a test."""
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as found:
        yield found


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with one_stream() as found:
        yield found
