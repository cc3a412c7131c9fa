"""A real Apache Kafka with a second door: clients that come through it are always told the proxy's address."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.broker import Broker, free_port

_AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
"""
"""Everything is allowed to everybody, except on what a test makes rules for."""


class ProxiedBroker(Broker):
    """One node. `address` is its own; the proxy connects to `behind`, and listens at `proxy_port` of loopback.

    Who comes through the door `behind` is told that the broker is at `proxy_port`.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.behind = f"127.0.0.1:{free_port()}"
        # Bound as long as this lives, and never listening: nobody else takes the port while no proxy listens at it.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self.proxy_port = int(self._place.getsockname()[1])
        text = self._config.read_text("utf-8")
        for key, door in (
            ("\nlisteners=", f"PROXIED://{self.behind}"),
            ("\nadvertised.listeners=", f"PROXIED://127.0.0.1:{self.proxy_port}"),
            ("\nlistener.security.protocol.map=", "PROXIED:PLAINTEXT"),
        ):
            assert 1 == text.count(key)
            text = text.replace(key, f"{key}{door},")
        self._config.write_text(text + _AUTHORIZER, encoding="utf-8")

    def close(self) -> None:
        self.kill()
        self._place.close()


@contextmanager
def cluster(home: Path, nodes: int = 3) -> Iterator[list[Broker]]:
    """Nodes that replicate everything among them: any one may die."""
    controllers = [free_port() for _ in range(nodes)]
    found = [Broker(home / f"node{number}", number, controllers) for number in range(1, nodes + 1)]
    try:
        for node in found:
            node.launch()
        for node in found:
            node.await_answer()
        yield found
    finally:
        for node in found:
            node.kill()


@contextmanager
def running(home: Path) -> Iterator[ProxiedBroker]:
    broker = ProxiedBroker(home)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()
