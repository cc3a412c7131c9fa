"""Forwards TCP connections, and can be cut; it does not decode what it forwards."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream

_GONE = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Forwarder:
    """Forwards connections to an address."""

    def __init__(self, address: str, port: int = 0) -> None:
        self.address = ""
        """The URL to use instead of the target's."""
        self.set_target(address)
        self._listen_port = port
        self._is_open = anyio.Event()
        self._is_open.set()
        self._is_closed = False
        self._connections: set[anyio.CancelScope] = set()

    def set_target(self, address: str) -> None:
        """Forward new connections to this URL."""
        self._host, self._port = urlsplit(address).hostname or "", urlsplit(address).port or 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Forwarder"]:
        """Listen until the end of the block."""
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._listen_port) as listener,
            anyio.create_task_group() as tasks,
        ):
            port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
            self.address = f"http://127.0.0.1:{port}"
            tasks.start_soon(listener.serve, self._serve)
            yield self
            tasks.cancel_scope.cancel()

    @contextmanager
    def cut(self, *, silent: bool) -> Iterator[None]:
        """Cut all connections until the end of the block.

        Silent: the connections stay open, and what is sent is delivered afterwards, as TCP does. Otherwise, they and
        new ones are closed.
        """
        self._is_open, self._is_closed = anyio.Event(), not silent
        if self._is_closed:
            for connection in tuple(self._connections):
                connection.cancel()
        try:
            yield
        finally:
            self._is_closed = False
            self._is_open.set()

    async def _serve(self, client: SocketStream) -> None:
        async with client:
            if self._is_closed:
                return
            with anyio.CancelScope() as connection:
                self._connections.add(connection)
                try:
                    with suppress(OSError):  # nothing listens there: as if the connection had been refused
                        target = await anyio.connect_tcp(self._host, self._port)
                        async with target, anyio.create_task_group() as tasks:
                            tasks.start_soon(self._copy, client, target, connection)
                            tasks.start_soon(self._copy, target, client, connection)
                finally:
                    self._connections.discard(connection)

    async def _copy(self, source: SocketStream, sink: SocketStream, connection: anyio.CancelScope) -> None:
        with suppress(*_GONE):
            async for chunk in source:
                await self._is_open.wait()
                await sink.send(chunk)
        connection.cancel()
