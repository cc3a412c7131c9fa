"""The connections of the HTTP server: how many there are, for how long, and how much a client may send.

Everyone who can connect may do so as often as they like. Neither the number of connections nor what they send may cost
the process its file descriptors or its memory: Kafka and the vendors need them.
"""

import asyncio
import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import cast

from aiohttp import web
from aiohttp.web_request import BaseRequest
from msgspec import Struct

from collector.web.hosts import AcceptedHosts

MAX_CONNECTIONS = 64
"""Far more than a browser, a few Prometheus servers and probes open at the same time."""
DESCRIPTORS_SHARE = 4
"""The server uses at most one in this many of the file descriptors that the process may have."""
REQUEST_S = 10.0
CONNECTION_S = 30.0
"""Prometheus scrapes with a timeout of 10 s by default."""
MAX_LINE_BYTES = 8 << 10
MAX_HEADERS = 64
"""Browsers send about 20, and proxies add some."""
MAX_REQUEST_BYTES = 32 << 10
HEADERS = {"Server": "collector", "X-Content-Type-Options": "nosniff"}
"""Of every response. Without a name, aiohttp would send its version and that of Python."""


def max_connections() -> int:
    """The number of connections that are accepted: fewer than MAX_CONNECTIONS where few files may be open."""
    if sys.platform == "win32":
        return MAX_CONNECTIONS
    import resource  # noqa: PLC0415 - does not exist on Windows

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, limit // DESCRIPTORS_SHARE))


class Limits(Struct, frozen=True):
    """What clients may use."""

    connections: int = MAX_CONNECTIONS
    request_s: float = REQUEST_S
    """Seconds until the header of the request must be complete."""
    connection_s: float = CONNECTION_S
    """Seconds until the response must be received."""
    request_bytes: int = MAX_REQUEST_BYTES
    """Bytes that a client may send over a connection."""


class Connections:
    """The open connections, oldest first."""

    def __init__(self, limits: Limits, hosts: AcceptedHosts | None) -> None:
        self._limits = limits
        self._hosts = hosts
        self._open: dict[Connection, None] = {}

    def __len__(self) -> int:
        return len(self._open)

    def new(self, server: web.Server) -> "Connection":
        """The protocol of a new connection."""
        return Connection(server, self, self._limits, self._hosts)

    def admit(self, connection: "Connection") -> bool:
        """Add a connection. If there are too many, the oldest without a complete request is aborted.

        Returns False, and adds nothing, if all of them have one.
        """
        if len(self._open) >= self._limits.connections:
            waiting = next((each for each in self._open if each.is_waiting), None)
            if waiting is None:
                return False
            self.remove(waiting)
            waiting.abort()
        self._open[connection] = None
        return True

    def remove(self, connection: "Connection") -> None:
        """Remove a connection that is lost or aborted."""
        self._open.pop(connection, None)


class Connection(web.RequestHandler):
    """A connection, which ends with the response to its first request.

    So an idle connection is one whose request is not complete, and what a client sends ahead is bounded.
    """

    def __init__(
        self, server: web.Server, connections: Connections, limits: Limits, hosts: AcceptedHosts | None
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=limits.request_s,  # aiohttp also applies it to the first request
            lingering_time=0,
            access_log=None,  # type: ignore[arg-type]  # there is none
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_LINE_BYTES,
            max_headers=MAX_HEADERS,
            auto_decompress=False,
        )
        self._connections = connections
        self._limits = limits
        self._hosts = hosts
        self._received = 0
        self._own_transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self.is_waiting = True
        """Whether no request has been received completely."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._own_transport = cast("asyncio.Transport", transport)  # that of uvloop is no subclass
        if not self._connections.admit(self):
            self.abort()
            return
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(self._limits.connection_s, self.abort)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self._limits.request_bytes:
            self.abort()
        else:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.remove(self)
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def accepts_host(self, headers: Sequence[str]) -> bool:
        """Whether a request with these headers `Host` is accepted. Browsers always send one; HTTP/1.0 needs none."""
        return self._hosts is None or all(map(self._hosts.accepts, headers))

    def abort(self) -> None:
        """Close the connection at once. What has not been sent is discarded: its client may never receive it."""
        self.force_close()
        if self._own_transport is not None:
            self._own_transport.abort()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to a request that is not valid HTTP, or that failed."""
        response = super().handle_error(request, status, exc, message)
        response.headers.update(HEADERS)
        return response
