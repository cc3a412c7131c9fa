"""Faults that the proxy injects into frames, and how often each was applied."""

from collections.abc import Collection
from enum import Enum, auto
from typing import TypeAlias

import anyio
from msgspec import Struct

from tests.faults.kafka_protocol import ERROR_RESPONSE_APIS, Request, error_code


class Direction(Enum):
    """A client's frame, or the broker's."""

    REQUEST = auto()
    RESPONSE = auto()


REQUEST, RESPONSE = Direction


class Delay(Struct, frozen=True):
    """Delivers the frame later, and with it all frames that follow on its connection."""

    seconds: float
    direction: Direction = REQUEST


class Drop(Struct, frozen=True):
    """Drops the frame; the connection stays open."""

    direction: Direction = REQUEST


class Reset(Struct, frozen=True):
    """Drops the frame, and resets its connection."""

    direction: Direction = REQUEST


class Blackhole(Struct, frozen=True):
    """Drops the frame and all later ones, on all connections and on new ones, until it is healed."""

    direction: Direction = REQUEST


class ErrorResponse(Struct, frozen=True):
    """The client receives this error code.

    For a request: the broker never receives it. For a response: the broker has processed the request, and the client
    does not learn that.
    """

    code: int
    direction: Direction = REQUEST


class Hold(Struct, frozen=True):
    """Holds the frame, and all that follow on its connection, until it is released, even if its sender gives up.

    With `cut`, the client's connection is reset at once, so the client does not wait for a response.
    """

    direction: Direction = REQUEST
    cut: bool = False


Action: TypeAlias = Delay | Drop | Reset | Blackhole | ErrorResponse | Hold


class HeldFrame:
    """A frame that is delivered late."""

    def __init__(self, request: Request, seconds: float | None, healed: anyio.Event) -> None:
        self.request = request
        """The request itself, or the one that the frame responds to."""
        self.released = anyio.Event()
        self.delivered = anyio.Event()
        """Set when the frame is delivered and, if it is a request, responded to; or when it can no longer be."""
        self.response: bytes | None = None
        self._seconds = seconds
        self._healed = healed

    async def due(self) -> None:
        """Return when the frame must be delivered."""
        if self._seconds is None:
            await self.released.wait()
            return
        with anyio.move_on_after(self._seconds):
            await self._healed.wait()


class Fault:
    """An action on the frames that match some conditions.

    The constructor raises ValueError for an ErrorResponse to an API for which the proxy has none.
    """

    def __init__(self, apis: Collection[int], action: Action, times: int | None, skip: int, for_id: str | None) -> None:
        if isinstance(action, ErrorResponse) and not (apis and ERROR_RESPONSE_APIS.issuperset(apis)):
            raise ValueError(f"the proxy has no error response for {sorted(map(int, apis)) or 'all APIs'}")
        self.action = action
        self.applied = 0
        """To how many frames it was applied."""
        self.held: list[HeldFrame] = []
        self._apis = frozenset(apis)
        self._left = times
        self._skip = skip
        self._for_id = for_id
        self._applied = anyio.Event()
        self._healed = anyio.Event()

    def apply_to(self, request: Request, direction: Direction) -> bool:
        """Whether the fault applies to this frame; if so, it is counted."""
        if self._left == 0 or direction is not self.action.direction:
            return False
        if self._apis and request.api not in self._apis:
            return False
        if self._for_id is not None and not request.contains_id(self._for_id):
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self._left is not None:
            self._left -= 1
        self.applied += 1
        self._applied.set()
        self._applied = anyio.Event()
        return True

    async def wait_applied(self, times: int = 1) -> None:
        """Return when it has been applied this many times."""
        while self.applied < times:
            await self._applied.wait()

    def hold(self, request: Request) -> HeldFrame:
        """Record a frame as held; the caller delivers it when `due` of the result returns."""
        self.held.append(
            HeldFrame(request, self.action.seconds if isinstance(self.action, Delay) else None, self._healed)
        )
        return self.held[-1]

    async def release(self) -> list[int | None]:
        """Deliver the held frames in the order in which they arrived.

        Returns the error code of the broker's response to each, 0 if it has none, or None where there is no response:
        to responses, and if the broker has closed the connection.
        """
        held, self.held = self.held, []
        codes: list[int | None] = []
        for frame in held:
            frame.released.set()
            await frame.delivered.wait()
            codes.append(None if frame.response is None else error_code(frame.request, frame.response))
        return codes

    def heal(self) -> None:
        """Deliver what is delayed. What is held still waits for `release`."""
        self._healed.set()
