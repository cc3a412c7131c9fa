"""One broker behind a proxy for all of these tests, and a proxy without faults for each."""

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
    """Not the debugging loop: through this one passes what is measured here, and what has deadlines of seconds."""
    return "asyncio", {"debug": False}


@pytest.fixture(scope="session")
def own_kafka() -> None:
    """Brokers can be started here: one that is given does not name a proxy's address, and is not killed."""
    need("KAFKA", unavailable_reason())


@pytest.fixture(scope="session")
def proxied(own_kafka: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedBroker]:
    """A real Kafka that names the proxy's address to its clients."""
    del own_kafka
    with brokers.running(tmp_path_factory.mktemp("proxied")) as node:
        yield node


@pytest.fixture
async def proxy(proxied_broker: ProxiedBroker) -> AsyncIterator[Proxy]:
    async with Proxy(proxied_broker.proxied_address, proxied_broker.proxy_port).serving() as fresh:
        yield fresh


@pytest.fixture
async def unreported() -> AsyncIterator[None]:
    """Errors that aiokafka leaves in futures of its own, where nobody can hear them, are no fault of ours.

    It does when its sender ends, in those of batches that it had not sent and in that of the transaction; the loop
    complains of each when it is collected.
    """
    loop = asyncio.get_running_loop()
    strict = loop.get_exception_handler()

    def lenient(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        its_own = isinstance(context.get("exception"), KafkaError) and "never retrieved" in context["message"]
        if strict is not None and not its_own:
            strict(loop, context)

    loop.set_exception_handler(lenient)
    yield
    gc.collect()
    loop.set_exception_handler(strict)
