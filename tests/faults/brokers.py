"""A real Apache Kafka with a second listener, which advertises the address of a proxy to its clients."""

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
"""Every operation is allowed, except on resources that a test creates ACLs for.

For clusters of one node only: with several, no node would accept a vote before it has the ACLs, which it receives from
the elected controller.
"""


class ProxiedBroker(Broker):
    """One node. The proxy listens at `proxy_port`, and connects to `upstream_address`.

    The listener at `upstream_address` advertises `proxy_port`, so its clients reach the node through the proxy only;
    clients of `address` bypass it. A third listener, at `moving_address`, gets another port by `move`.
    """

    def __init__(self, home: Path, node: int = 1, controllers: Sequence[int] = (), nodes: int = 0) -> None:
        super().__init__(home, node, controllers, nodes)
        self.upstream_address = f"127.0.0.1:{free_port()}"
        self.proxy_port = free_port()
        self.moving_address = f"127.0.0.1:{free_port()}"
        listeners = {
            "PROXIED": Listener(self.upstream_address, f"127.0.0.1:{self.proxy_port}"),
            "MOVING": Listener(self.moving_address, self.moving_address),
        }
        self.configure(listeners, "" if max(nodes, len(controllers)) > 1 else _AUTHORIZER)

    def move(self) -> None:
        """Give the third listener another port from the next start on. Call it while the node is stopped."""
        before, self.moving_address = self.moving_address, f"127.0.0.1:{free_port()}"
        text = self._config.read_text("utf-8")
        assert 2 == text.count(f"MOVING://{before}")
        self._config.write_text(text.replace(before, self.moving_address), encoding="utf-8")

    def close(self) -> None:
        """Kill it."""
        self.kill()


class Cluster(Struct, frozen=True):
    """Nodes that replicate every topic, each with a proxy of its own."""

    nodes: Sequence[ProxiedBroker]
    proxies: Sequence[Proxy]

    @property
    def address(self) -> str:
        """The bootstrap servers of clients that bypass the proxies."""
        return ",".join(node.address for node in self.nodes)

    @property
    def reader_address(self) -> str:
        """The bootstrap servers of the tests' own readers."""
        return self.address

    @property
    def proxied_address(self) -> str:
        """The bootstrap servers of clients that reach every node through its proxy only."""
        return ",".join(proxy.address for proxy in self.proxies)


@asynccontextmanager
async def cluster(home: Path, size: int) -> AsyncIterator[Cluster]:
    """A running cluster until the end of the block. With three nodes, it survives the loss of any one."""
    controllers = [free_port() for _ in range(size)]
    async with AsyncExitStack() as stack:
        nodes = []
        for number in range(1, size + 1):
            nodes.append(stack.enter_context(closing(ProxiedBroker(home / f"node{number}", number, controllers))))
            nodes[-1].launch()
        for node in nodes:
            node.wait_until_ready()
        proxies = [Proxy(node.upstream_address, node.proxy_port) for node in nodes]
        for proxy in proxies:
            await stack.enter_async_context(proxy.serving())
        yield Cluster(nodes, proxies)


@contextmanager
def running(home: Path) -> Iterator[ProxiedBroker]:
    """One running node until the end of the block."""
    with closing(ProxiedBroker(home)) as broker:
        broker.start()
        yield broker
