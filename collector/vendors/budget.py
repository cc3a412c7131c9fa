"""A budget for what a server sends in response to one request, and for what is parsed in one turn of the event loop.

aiohttp limits the size of each header, but neither the number of informational responses before a response, nor the
framing of chunks, nor what follows a response. It parses in one turn what the loop reads in one turn: with uvloop,
megabytes. All accounts share the loop, so that a server could delay all of them (docs/decisions/0031-budgets.md).

The only module that uses private parts of aiohttp's client. Its tests fail when they change.
"""

import asyncio
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader

PIECE_BYTES = 16 << 10
"""The most bytes that are parsed in one turn of the event loop. The slowest content, chunks and informational
responses of some bytes each, takes about 10 ms until it is read."""
MAX_INFORMATIONAL = 16
"""The most informational responses (HTTP 1xx) to one request. Servers send one or two; those that report progress (102)
send one every 20 s (RFC 2518, 10.1), which is 9 within the default time limit of a response."""
MAX_HEAD_BYTES = 256 << 10
"""The most bytes before the end of a response's headers, with informational responses. Web servers and proxies accept 8
to 128 KiB of headers, and one header here may have 64 KiB."""
MAX_FRAME_BYTES = 64 << 10
"""The most bytes of framing in a row: the line of a chunk's size with its extensions, or the trailers. As large as the
largest header: trailers are headers."""
MAX_OVERHEAD_BYTES = 1 << 20
"""The most bytes that are not body, in addition to `MAX_OVERHEAD` times the body: headers, and the chunks of a response
of up to 350 kB whose chunks have one byte each."""
MAX_OVERHEAD = 2
"""Bytes of framing for each byte of the body. Encoders that write JSON token by token (Python's `iterencode`) send
chunks of 4 bytes on average, each with 5 bytes of framing."""


class BudgetExceeded(aiohttp.ClientError):
    """A response exceeds the budget. Its text is the reason, and contains no text of the vendor."""

    def __init__(self, reason: str, *, code: str, narrower: bool = False) -> None:
        super().__init__(reason)
        self.code = code
        self.narrower = narrower
        """Whether the response to a smaller window may be within the budget."""


class BoundedConnector(aiohttp.TCPConnector):
    """A connector whose connections are `BoundedConnection`s: also to proxies, and inside their tunnels.

    It begins TLS on a connection without it, as aiohttp does in a tunnel, so that the socket can be paused instead of
    the decrypted stream: when that is paused at the end of the connection, uvloop discards what has not been read.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of aiohttp
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(BoundedConnection, loop=self._loop))

    async def _wrap_create_connection(self, *args: Any, **options: Any) -> tuple[asyncio.Transport, ResponseHandler]:  # noqa: ANN401 - those of aiohttp
        if not options["ssl"]:
            return await super()._wrap_create_connection(*args, **options)
        request, timeout = options["req"], options["timeout"]
        request.server_hostname = options["server_hostname"]
        options |= {"ssl": None, "server_hostname": None}
        socket, _ = await super()._wrap_create_connection(asyncio.Protocol, **options)
        failure = options.get("client_error", aiohttp.ClientConnectorError)
        transport, connection = await self._start_tls_connection(socket, request, timeout, failure)
        return cast("asyncio.Transport", transport), connection

    async def _start_tls_connection(
        self,
        underlying_transport: asyncio.Transport,
        *args: Any,  # noqa: ANN401 - those of aiohttp
        **options: Any,  # noqa: ANN401
    ) -> tuple[asyncio.BaseTransport, ResponseHandler]:
        outer = underlying_transport.get_protocol()  # with a proxy that uses TLS, its connection is encrypted too
        transport, connection = await super()._start_tls_connection(underlying_transport, *args, **options)
        socket = outer.socket if isinstance(outer, BoundedConnection) else None
        cast("BoundedConnection", connection).socket = socket or underlying_transport
        return transport, connection


class Budget:
    """Counts what arrives in response to one request."""

    def __init__(self) -> None:
        self.received = 0
        """Bytes, of whatever kind, after decryption."""
        self.informational = 0
        self.body: StreamReader | None = None
        """The body of the response. None while its headers are not complete."""
        self._body_bytes = 0
        self._received_with_body = 0

    @property
    def is_complete(self) -> bool:
        """Whether the whole response has arrived."""
        return self.body is not None and self.body.is_eof()

    def excess(self) -> BudgetExceeded | None:
        """The first limit that is exceeded."""
        if self.informational > MAX_INFORMATIONAL:
            reason = f"it has more than {MAX_INFORMATIONAL} informational responses (HTTP 1xx)"
            return BudgetExceeded(reason, code="response_informational")
        if self.body is None:
            if self.received <= MAX_HEAD_BYTES:
                return None
            return BudgetExceeded(f"its headers exceed {MAX_HEAD_BYTES} bytes in total", code="response_headers")
        return None if self.is_complete else self._framing_excess(self.body.total_bytes)

    def _framing_excess(self, body_bytes: int) -> BudgetExceeded | None:
        if body_bytes > self._body_bytes:
            self._body_bytes, self._received_with_body = body_bytes, self.received
        elif self.received - self._received_with_body > MAX_FRAME_BYTES:
            reason = f"it has more than {MAX_FRAME_BYTES} bytes of chunk extensions or trailers in a row"
            return BudgetExceeded(reason, code="response_framing")
        if self.received - body_bytes > MAX_OVERHEAD_BYTES + MAX_OVERHEAD * body_bytes:
            reason = "its chunks are too small, or their extensions too large"
            return BudgetExceeded(reason, code="response_framing", narrower=True)
        return None


class BoundedConnection(ResponseHandler):
    """A connection that closes when a response exceeds its budget, or when anything follows a complete response.

    What follows a response is never returned as the response to another request. One piece is parsed in each turn of
    the event loop. While others wait, the socket is not read, and the end of the connection waits too: with TLS, it may
    arrive together with data.
    """

    socket: asyncio.Transport | None = None
    """What is paused, if that is not the transport: below TLS, the connection without it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._budget = Budget()
        self._waiting = bytearray()
        self._turn: asyncio.Handle | None = None
        """The next turn; None if nothing has been parsed in this one."""
        self._is_lost = False
        self._lost_with: BaseException | None = None
        self._is_refused = False
        self._may_hold_data = False

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - those of aiohttp
        """Begin a request: aiohttp calls this before it sends one, also before CONNECT."""
        self._budget = Budget()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Receive data from the socket. aiohttp calls this without data to parse what its parser holds."""
        if self._is_refused:
            return
        if not data:
            self._parse(data)
            return
        self._waiting += data
        self._parse_piece()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._is_lost, self._lost_with = True, exc
        self.force_close()
        self._end_if_parsed()

    def close(self) -> None:
        """Close the connection; at once if the response is not complete, because TLS would read on for some time."""
        if self._budget.is_complete:
            super().close()
        else:
            super().abort()
        self._end_if_parsed()

    def abort(self) -> None:
        super().abort()
        self._end_if_parsed()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - as aiohttp calls it
        """Parse what the parser holds since it was paused. aiohttp calls this for each chunk that is read.

        The parser holds nothing if nothing has been parsed since the last call, unless it was paused again.
        """
        if self._reading_paused or self._may_hold_data or not resume_parser:
            self._may_hold_data = False
            super().resume_reading(resume_parser)
            if self._turn is None and (self._waiting or self._is_lost):
                self._turn = self._loop.call_soon(self._begin_turn)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Receive the head of a response from aiohttp's parser."""
        message, body = data
        if self._budget.body is not None:
            self._refuse()
            return
        if 100 <= message.code < 200 and message.code != 101:  # noqa: PLR2004 - aiohttp skips all of these but 101
            self._budget.informational += 1
        else:
            self._budget.body = body
        super().feed_data(data, size)

    def _begin_turn(self) -> None:
        self._turn = None
        self._parse_piece()
        if not (self._waiting or self._reading_paused or self._buffer_paused):
            self._resume_transport_reading()

    def _parse_piece(self) -> None:
        if self._turn is None and self._waiting and not self._reading_paused:
            piece = bytes(self._waiting[:PIECE_BYTES])
            del self._waiting[:PIECE_BYTES]
            self._turn = self._loop.call_soon(self._begin_turn)
            self._parse(piece)
        if self._waiting:
            self._pause_transport_reading()
        self._end_if_parsed()

    def _parse(self, piece: bytes) -> None:
        if piece and self._budget.is_complete:
            self._refuse()
            return
        self._budget.received += len(piece)
        self._may_hold_data |= bool(piece)
        if self._parser is None and self._budget.received > PIECE_BYTES:
            self._fail(BudgetExceeded("it begins before the request", code="response_invalid"))
            return
        super().data_received(piece)
        if error := self._budget.excess() or self._exception:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Raise the error from the request. aiohttp does not, if its parser fails within a body."""
        body = self._budget.body
        self.set_exception(error)
        if body is not None and not body.is_eof():
            body.set_exception(error)
        self._parser = self._payload = None  # they would replace the error when the connection is lost
        self._refuse()

    def _refuse(self) -> None:
        """Close the connection, and discard what else arrives."""
        self._is_refused = True
        self._waiting.clear()
        self.force_close()
        if self.transport is not None:
            self.transport.abort()

    def _end_if_parsed(self) -> None:
        """Report that the connection is lost, unless a part of the response is still to be parsed."""
        is_open = self.transport is not None and not self._is_refused
        if self._is_lost and not (is_open and (self._waiting or self._reading_paused)):
            self._is_lost = False
            self._waiting.clear()
            super().connection_lost(self._lost_with)

    def _pause_transport_reading(self) -> None:
        if self.socket is None:
            super()._pause_transport_reading()
        elif not self.socket.is_closing():
            self.socket.pause_reading()

    def _resume_transport_reading(self) -> None:
        if self._waiting:
            return
        if self.socket is None:
            super()._resume_transport_reading()
        elif not self.socket.is_closing():
            self.socket.resume_reading()
