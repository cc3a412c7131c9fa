"""A real Apache Kafka with a second door: clients that come through it are always told the proxy's address."""

import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path

from msgspec import Struct

from tests.faults.proxy import Proxy
from tests.kafka.broker import Broker, Listener, free_port

_AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
"""Everything is allowed to everybody, except on what a test makes rules for.

On one node alone: of several none would let another vote before it knows the rules, and it learns them from who is
elected.
"""


class ProxiedBroker(Broker):
    """One node. `address` is its own; the proxy connects to `behind`, and listens at `proxy_port` of loopback.

    Who comes through the door `behind` learns that the broker is at `proxy_port`. A third door, `moving`, is wherever
    it is put before a start.
    """

    def __init__(self, home: Path, node: int = 1, controllers: Sequence[int] = (), nodes: int = 0) -> None:
        super().__init__(home, node, controllers, nodes)
        self.proxied_address = f"127.0.0.1:{free_port()}"
        # Bound as long as this lives, and never listening: nobody else takes the port while no proxy listens at it.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.proxy_port = int(self._place.getsockname()[1])
        self.moving_address = f"127.0.0.1:{free_port()}"
        doors = {
            "PROXIED": Listener(self.proxied_address, f"127.0.0.1:{self.proxy_port}"),
            "MOVING": Listener(self.moving_address, self.moving_address),
        }
        self.configure(doors, "" if max(nodes, len(controllers)) > 1 else _AUTHORIZER)

    def move(self) -> None:
        """While it is stopped: its third door is elsewhere from the next start on."""
        before, self.moving_address = self.moving_address, f"127.0.0.1:{free_port()}"
        text = self._config.read_text("utf-8")
        assert 2 == text.count(f"MOVING://{before}")
        self._config.write_text(text.replace(before, self.moving_address), encoding="utf-8")

    def close(self) -> None:
        self.kill()
        self._place.close()


class Cluster(Struct, frozen=True):
    """Nodes that replicate everything among them, each behind a proxy of its own for those who come by it."""

    nodes: Sequence[ProxiedBroker]
    proxies: Sequence[Proxy]

    @property
    def address(self) -> str:
        return ",".join(node.address for node in self.nodes)

    @property
    def readers(self) -> str:
        """Where the readers of the test itself bootstrap from."""
        return self.address

    @property
    def proxied(self) -> str:
        """Who comes by these learns of no other addresses: each node can be taken from them alone."""
        return ",".join(proxy.address for proxy in self.proxies)


@asynccontextmanager
async def cluster(home: Path, size: int) -> AsyncIterator[Cluster]:
    """Started, until the end of the block; of three nodes any one may die."""
    controllers = [free_port() for _ in range(size)]
    async with AsyncExitStack() as stack:
        nodes = []
        for number in range(1, size + 1):
            nodes.append(stack.enter_context(closing(ProxiedBroker(home / f"node{number}", number, controllers))))
            nodes[-1].launch()
        for node in nodes:
            node.wait_until_ready()
        proxies = [Proxy(node.proxied_address, node.proxy_port) for node in nodes]
        for proxy in proxies:
            await stack.enter_async_context(proxy.serving())
        yield Cluster(nodes, proxies)


@contextmanager
def running(home: Path) -> Iterator[ProxiedBroker]:
    with closing(ProxiedBroker(home)) as broker:
        broker.start()
        yield broker
