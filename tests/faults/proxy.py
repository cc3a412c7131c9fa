"""A TCP proxy between Kafka's clients and a broker, which decodes requests and injects faults.

It behaves as a network does: a delayed frame delays those that follow on its connection, and a frame that was sent
reaches the broker even after its sender has given up and closed the connection.
"""

import socket
import struct
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
from anyio.abc import SocketAttribute, SocketStream, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.faults.faults import Action, Blackhole, Delay, Direction, Drop, ErrorResponse, Fault, Hold, Reset
from tests.faults.kafka_protocol import Request, correlation_id, decode_request, error_response

_LINGER = struct.pack("ii", 1, 0)
"""SO_LINGER with a timeout of 0: closing the socket sends a reset."""
_GONE = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Proxy:
    """The proxy of one broker, on a port of loopback."""

    def __init__(self, broker: str, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.seen = Counter[int]()
        """Requests received, by API key, including those that a fault was applied to."""
        self.applied = Counter[int]()
        """Faults applied, by the API key of the request or of the one that the frame responds to."""
        self.connections = 0
        """How many are open."""
        self._host, self._port = broker.split(":")
        self._listen_port = port
        self._faults: list[Fault] = []
        self._tasks: TaskGroup | None = None
        self._listening: anyio.CancelScope | None = None
        self._closed = anyio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Proxy"]:
        """Listen until the end of the block."""
        async with anyio.create_task_group() as self._tasks:
            await self._tasks.start(self._listen)
            try:
                yield self
            finally:
                self._tasks.cancel_scope.cancel()

    def add(
        self,
        apis: int | Collection[int],
        action: Action,
        *,
        times: int | None = None,
        skip: int = 0,
        for_id: str | None = None,
    ) -> Fault:
        """Apply the action to matching frames until it is healed.

        Args:
            apis: API keys of the requests; none are all.
            action: What is done to a frame.
            times: To how many frames it is applied at most.
            skip: How many matching frames pass before the first.
            for_id: A transactional id or a group that the request must contain.

        If several faults match a frame, only the first of them is applied. Raises ValueError as `Fault` does.

        """
        fault = Fault(apis if isinstance(apis, Collection) else (apis,), action, times, skip, for_id)
        self._faults.append(fault)
        return fault

    @contextmanager
    def fault(
        self,
        apis: int | Collection[int],
        action: Action,
        *,
        times: int | None = None,
        skip: int = 0,
        for_id: str | None = None,
    ) -> Iterator[Fault]:
        """As `add`, healed at the end of the block."""
        fault = self.add(apis, action, times=times, skip=skip, for_id=for_id)
        try:
            yield fault
        finally:
            self.heal(fault)

    @contextmanager
    def blackhole(self) -> Iterator[None]:
        """Drop all frames until the end of the block; the connections stay open, and work again afterwards."""
        with self.fault((), Blackhole()) as fault:
            fault.applied += 1
            yield

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Refuse new connections until the end of the block; existing ones stay open."""
        assert self._listening is not None
        assert self._tasks is not None
        self._listening.cancel()
        await self._closed.wait()
        try:
            yield
        finally:
            await self._tasks.start(self._listen)

    def heal(self, *faults: Fault) -> None:
        """End these faults, or all. Delayed frames are delivered; held ones still wait for `release`."""
        for fault in faults or tuple(self._faults):
            fault.heal()
            if fault in self._faults:
                self._faults.remove(fault)

    @property
    def is_blackhole(self) -> bool:
        """Whether all frames are dropped."""
        return any(isinstance(fault.action, Blackhole) and fault.applied for fault in self._faults)

    def match(self, request: Request, direction: Direction) -> Fault | None:
        """The fault that applies to this frame, which is counted; None if the frame passes."""
        fault = next((each for each in self._faults if each.apply_to(request, direction)), None)
        if fault is not None:
            self.applied[request.api] += 1
        return fault

    async def _listen(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        self._closed = anyio.Event()
        with anyio.CancelScope() as self._listening:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._listen_port)
            async with listener:
                task_status.started()
                await listener.serve(self._serve, self._tasks)
        self._closed.set()

    async def _serve(self, client: SocketStream) -> None:
        async with client:
            try:
                broker = await anyio.connect_tcp(self._host, int(self._port))
            except OSError:
                _reset(client)
                return
            self.connections += 1
            try:
                async with broker:
                    await _Connection(self, client, broker).run()
            finally:
                self.connections -= 1


class _Exchange:
    """A forwarded request and its response."""

    def __init__(self, request: Request, own_response: bytes | None = None) -> None:
        self.request = request
        self.own_response = own_response
        """The response, if it is the proxy's."""
        self.response = own_response
        self.responded = anyio.Event()


class _Connection:
    """A client's connection, and the connection to the broker that it is forwarded to."""

    def __init__(self, proxy: Proxy, client: SocketStream, broker: SocketStream) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._writing = anyio.Lock()
        self._pending: deque[_Exchange] = deque()
        """Exchanges in the order in which the client must receive the responses."""

    async def run(self) -> None:
        """Forward until either side closes its connection; frames that the client has sent are still delivered."""
        async with anyio.create_task_group() as both:
            for direction in (self._forward_requests, self._forward_responses):
                both.start_soon(self._until_gone, direction, both.cancel_scope)

    async def _until_gone(self, direction: Callable[[], Awaitable[None]], both: anyio.CancelScope) -> None:
        try:
            await direction()
        except _GONE:
            pass
        finally:
            both.cancel()

    async def _forward_requests(self) -> None:
        async for frame in _frames(self._client):
            request = decode_request(frame)
            self._proxy.seen[request.api] += 1
            if self._proxy.is_blackhole:
                continue
            fault = self._proxy.match(request, Direction.REQUEST)
            match fault and fault.action:
                case None:
                    await self._forward(request)
                case Drop() | Blackhole():
                    pass
                case Reset():
                    _reset(self._client)
                    return
                case ErrorResponse(code=code):
                    self._pending.append(_Exchange(request, error_response(request, code)))
                    await self._send_own_responses()
                case Delay() | Hold() if fault is not None:
                    await self._forward_late(request, fault)

    async def _forward_late(self, request: Request, fault: Fault) -> None:
        """Forward a held request, and wait for its response before the next read, which may find the client gone."""
        held = fault.hold(request)
        if isinstance(fault.action, Hold) and fault.action.cut:
            _reset(self._client)
            await self._client.aclose()
        try:
            await held.due()
            exchange = await self._forward(request)
            if exchange is not None:
                await exchange.responded.wait()
                held.response = exchange.response
        finally:
            held.delivered.set()

    async def _forward(self, request: Request) -> _Exchange | None:
        if self._proxy.is_blackhole:
            return None
        exchange = _Exchange(request)
        self._pending.append(exchange)
        await _send(self._broker, request.frame)
        return exchange

    async def _forward_responses(self) -> None:
        async for frame in _frames(self._broker):
            exchange = self._pending[0]  # it stays first until it is sent, so no response of the proxy overtakes it
            assert exchange.request.correlation == correlation_id(frame)
            exchange.response = frame
            exchange.responded.set()
            fault = None if self._proxy.is_blackhole else self._proxy.match(exchange.request, Direction.RESPONSE)
            match fault and fault.action:
                case None:
                    await self._respond(frame)
                case Drop() | Blackhole():
                    pass
                case Reset():
                    _reset(self._client)
                    return
                case ErrorResponse(code=code):
                    await self._respond(error_response(exchange.request, code))
                case Delay() | Hold() if fault is not None:
                    await self._respond_late(exchange.request, frame, fault)
            self._pending.popleft()
            await self._send_own_responses()

    async def _respond_late(self, request: Request, frame: bytes, fault: Fault) -> None:
        held = fault.hold(request)
        try:
            await held.due()
            await self._respond(frame)
        finally:
            held.delivered.set()

    async def _send_own_responses(self) -> None:
        """Send the proxy's own responses that are next in order."""
        while self._pending and (own := self._pending[0].own_response) is not None:
            self._pending.popleft()
            await self._respond(own)

    async def _respond(self, frame: bytes) -> None:
        if self._proxy.is_blackhole:
            return
        async with self._writing:
            with suppress(*_GONE):  # the requests of a client that is gone are still forwarded
                await _send(self._client, frame)


async def _frames(stream: SocketStream) -> AsyncIterator[bytes]:
    buffered = BufferedByteReceiveStream(stream)
    while True:
        yield await buffered.receive_exactly(int.from_bytes(await buffered.receive_exactly(4), "big"))


async def _send(stream: SocketStream, frame: bytes) -> None:
    await stream.send(len(frame).to_bytes(4, "big") + frame)


def _reset(stream: SocketStream) -> None:
    """Let the next close send a reset."""
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django's
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
