"""One broker behind a proxy for all tests of this folder, and a proxy without faults for each test."""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from tests.faults import brokers
from tests.faults.brokers import ProxiedBroker
from tests.faults.proxy import Proxy
from tests.kafka.broker import unavailable_reason
from tests.needs import need


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Without asyncio's debug mode: what these tests measure, and limit to seconds, passes through this event loop."""
    return "asyncio", {"debug": False}


@pytest.fixture(scope="session")
def own_kafka() -> None:
    """Requires that brokers can be started here: one from the environment has no proxy, and must not be killed."""
    need("KAFKA", unavailable_reason())


@pytest.fixture(scope="session")
def proxied_broker(own_kafka: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedBroker]:
    """A real Kafka that advertises the address of the proxy."""
    del own_kafka
    with brokers.running(tmp_path_factory.mktemp("proxied_broker")) as node:
        yield node


@pytest.fixture
async def proxy(proxied_broker: ProxiedBroker) -> AsyncIterator[Proxy]:
    async with Proxy(proxied_broker.upstream_address, proxied_broker.proxy_port).serving() as proxy:
        yield proxy


@pytest.fixture
async def standalone_telemetry() -> AsyncIterator[None]:
    """Ignores errors that aiokafka leaves in futures that no code can await.

    When its sender ends, it does so with the futures of unsent batches and of the transaction. The event loop reports
    each when it is garbage-collected.
    """
    loop = asyncio.get_running_loop()
    strict = loop.get_exception_handler()

    def lenient(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        is_ignored = isinstance(context.get("exception"), KafkaError) and "never retrieved" in context["message"]
        if strict is not None and not is_ignored:
            strict(loop, context)

    loop.set_exception_handler(lenient)
    yield
    gc.collect()
    loop.set_exception_handler(strict)
