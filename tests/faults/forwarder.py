"""A way to somebody that can be cut: what is said is not looked at."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream

_GONE = (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Forwarder:
    """Passes connections on to an address."""

    def __init__(self, address: str, port: int = 0) -> None:
        self.address = ""
        """Its own, to be asked in the other's place."""
        self.lead_to(address)
        self._listens_at = port
        self._passes = anyio.Event()
        self._passes.set()
        self._hangs_up = False
        self._connections: set[anyio.CancelScope] = set()

    def lead_to(self, address: str) -> None:
        """Where connections go from now on."""
        self._host, self._port = urlsplit(address).hostname or "", urlsplit(address).port or 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Forwarder"]:
        async with (
            await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._listens_at) as listener,
            anyio.create_task_group() as tasks,
        ):
            port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's
            self.address = f"http://127.0.0.1:{port}"
            tasks.start_soon(listener.serve, self._serve)
            yield self
            tasks.cancel_scope.cancel()

    @contextmanager
    def cut(self, *, silent: bool) -> Iterator[None]:
        """Until the end of the block. Silent: nothing passes, and comes late, as with TCP. Else it hangs up."""
        self._passes, self._hangs_up = anyio.Event(), not silent
        if self._hangs_up:
            for connection in tuple(self._connections):
                connection.cancel()
        try:
            yield
        finally:
            self._hangs_up = False
            self._passes.set()

    async def _serve(self, client: SocketStream) -> None:
        async with client:
            if self._hangs_up:
                return
            with anyio.CancelScope() as connection:
                self._connections.add(connection)
                try:
                    with suppress(OSError):  # nobody listens there: as if the client had been refused
                        vendor = await anyio.connect_tcp(self._host, self._port)
                        async with vendor, anyio.create_task_group() as tasks:
                            tasks.start_soon(self._pass_on, client, vendor, connection)
                            tasks.start_soon(self._pass_on, vendor, client, connection)
                finally:
                    self._connections.discard(connection)

    async def _pass_on(self, source: SocketStream, sink: SocketStream, connection: anyio.CancelScope) -> None:
        with suppress(*_GONE):
            async for some in source:
                await self._passes.wait()
                await sink.send(some)
        connection.cancel()
