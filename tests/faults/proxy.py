"""A TCP proxy between Kafka's clients and a broker: it knows what it passes on, and does harm as it is told.

It stands where the network stands. What is late holds up what comes after it on its connection, as TCP would; and what
was on its way reaches the broker also after its sender has given up and hung up.
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
from tests.faults.kafka_protocol import Request, correlation_id, refusal, request

_LINGER = struct.pack("ii", 1, 0)
"""On, for no time: closing sends a reset."""
_GONE = (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Proxy:
    """Listens on loopback for the clients of one broker."""

    def __init__(self, broker: str, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self.seen = Counter[int]()
        """Requests that came, by API key, whatever became of them."""
        self.applied = Counter[int]()
        """Faults that happened, by the API key of the request or of what it answers."""
        self.connections = 0
        """How many there are now."""
        self._host, self._port = broker.split(":")
        self._listens_at = port
        self._faults: list[Fault] = []
        self._tasks: TaskGroup | None = None
        self._listening: anyio.CancelScope | None = None
        self._closed = anyio.Event()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["Proxy"]:
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
        """From now on, until healed or that many `times`, and after the first `skip`, it happens.

        No APIs are all of them. `for_id` is a transactional id or a group: requests that name another one are spared.
        The first fault that takes a frame has it alone.
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
        """The same, healed at the end of the block."""
        fault = self.add(apis, action, times=times, skip=skip, for_id=for_id)
        try:
            yield fault
        finally:
            self.heal(fault)

    @contextmanager
    def blackhole(self) -> Iterator[None]:
        """From this moment on nothing passes, silently; at the end of the block the same connections live again."""
        with self.fault((), Blackhole()) as fault:
            fault.applied += 1
            yield

    @asynccontextmanager
    async def refusing(self) -> AsyncIterator[None]:
        """Nobody listens any more; the connections that are there live on."""
        assert self._listening is not None
        assert self._tasks is not None
        self._listening.cancel()
        await self._closed.wait()
        try:
            yield
        finally:
            await self._tasks.start(self._listen)

    def heal(self, *faults: Fault) -> None:
        """End these faults, or all: what was delayed goes on, what is held waits for `release`, the rest is lost."""
        for fault in faults or tuple(self._faults):
            fault.heal()
            if fault in self._faults:
                self._faults.remove(fault)

    @property
    def is_dark(self) -> bool:
        return any(isinstance(fault.action, Blackhole) and fault.applied for fault in self._faults)

    def strike(self, asked: Request, direction: Direction) -> Fault | None:
        """The fault that happens to this frame."""
        fault = next((each for each in self._faults if each.applies_to(asked, direction)), None)
        if fault is not None:
            self.applied[asked.api] += 1
        return fault

    async def _listen(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        self._closed = anyio.Event()
        with anyio.CancelScope() as self._listening:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._listens_at)
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
    """A request that is on its way, and the answer to it."""

    def __init__(self, asked: Request, own: bytes | None = None) -> None:
        self.asked = asked
        self.own = own
        """The answer, if it is the proxy's."""
        self.answer = own
        self.answered = anyio.Event()


class _Connection:
    """One client's connection and the one to the broker that belongs to it."""

    def __init__(self, proxy: Proxy, client: SocketStream, broker: SocketStream) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._writing = anyio.Lock()
        self._waiting: deque[_Exchange] = deque()
        """Exchanges in the order in which the client must hear the answers."""

    async def run(self) -> None:
        """Until either side is gone: a client that hung up is outlived by what it had sent."""
        async with anyio.create_task_group() as both:
            for direction in (self._requests, self._answers):
                both.start_soon(self._until_gone, direction, both.cancel_scope)

    async def _until_gone(self, direction: Callable[[], Awaitable[None]], both: anyio.CancelScope) -> None:
        try:
            await direction()
        except _GONE:
            pass
        finally:
            both.cancel()

    async def _requests(self) -> None:
        async for frame in _frames(self._client):
            asked = request(frame)
            self._proxy.seen[asked.api] += 1
            if self._proxy.is_dark:
                continue
            fault = self._proxy.strike(asked, Direction.REQUEST)
            match fault and fault.action:
                case None:
                    await self._forward(asked)
                case Drop() | Blackhole():
                    pass
                case Reset():
                    _reset(self._client)
                    return
                case ErrorResponse(code=code):
                    self._waiting.append(_Exchange(asked, refusal(asked, code)))
                    await self._tell_own()
                case Delay() | Hold() if fault is not None:
                    await self._late(asked, fault)

    async def _late(self, asked: Request, fault: Fault) -> None:
        """Wait for the answer too: whoever sent it may have hung up, which would be seen next."""
        held = fault.keep(asked)
        if isinstance(fault.action, Hold) and fault.action.cut:
            _reset(self._client)
            await self._client.aclose()
        try:
            await held.due()
            exchange = await self._forward(asked)
            if exchange is not None:
                await exchange.answered.wait()
                held.answer = exchange.answer
        finally:
            held.delivered.set()

    async def _forward(self, asked: Request) -> _Exchange | None:
        if self._proxy.is_dark:
            return None
        exchange = _Exchange(asked)
        self._waiting.append(exchange)
        await _send(self._broker, asked.frame)
        return exchange

    async def _answers(self) -> None:
        async for frame in _frames(self._broker):
            exchange = self._waiting[0]  # and first in the row until it is told: no answer of our own overtakes it
            assert exchange.asked.correlation == correlation_id(frame)
            exchange.answer = frame
            exchange.answered.set()
            fault = None if self._proxy.is_dark else self._proxy.strike(exchange.asked, Direction.RESPONSE)
            match fault and fault.action:
                case None:
                    await self._telemetry(frame)
                case Drop() | Blackhole():
                    pass
                case Reset():
                    _reset(self._client)
                    return
                case ErrorResponse(code=code):
                    await self._telemetry(refusal(exchange.asked, code))
                case Delay() | Hold() if fault is not None:
                    await self._late_answer(exchange.asked, frame, fault)
            self._waiting.popleft()
            await self._tell_own()

    async def _late_answer(self, asked: Request, frame: bytes, fault: Fault) -> None:
        held = fault.keep(asked)
        try:
            await held.due()
            await self._telemetry(frame)
        finally:
            held.delivered.set()

    async def _tell_own(self) -> None:
        """The proxy's own answers whose turn it is."""
        while self._waiting and (own := self._waiting[0].own) is not None:
            self._waiting.popleft()
            await self._telemetry(own)

    async def _telemetry(self, frame: bytes) -> None:
        if self._proxy.is_dark:
            return
        async with self._writing:
            with suppress(*_GONE):  # what a client had sent goes on without it
                await _send(self._client, frame)


async def _frames(stream: SocketStream) -> AsyncIterator[bytes]:
    buffered = BufferedByteReceiveStream(stream)
    while True:
        yield await buffered.receive_exactly(int.from_bytes(await buffered.receive_exactly(4), "big"))


async def _send(stream: SocketStream, frame: bytes) -> None:
    await stream.send(len(frame).to_bytes(4, "big") + frame)


def _reset(stream: SocketStream) -> None:
    """From now on, to close it is to reset it."""
    raw = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - not Django's
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
