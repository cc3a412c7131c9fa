"""What can happen to a frame on its way, and how often it did."""

from collections.abc import Collection
from enum import Enum, auto
from typing import TypeAlias

import anyio
from msgspec import Struct

from tests.faults.kafka_protocol import ERROR_RESPONSE_APIS, Request, error_code


class Direction(Enum):
    """Whose frame it is: a client's, or the broker's."""

    REQUEST = auto()
    RESPONSE = auto()


REQUEST, RESPONSE = Direction


class Delay(Struct, frozen=True):
    """It comes later, and all that follows it on its connection."""

    seconds: float
    direction: Direction = REQUEST


class Drop(Struct, frozen=True):
    """It vanishes, and the connection lives."""

    direction: Direction = REQUEST


class Reset(Struct, frozen=True):
    """Its connection is reset, and it with it."""

    direction: Direction = REQUEST


class Blackhole(Struct, frozen=True):
    """It and all that comes after it vanishes, on all connections and new ones, until it is healed."""

    direction: Direction = REQUEST


class ErrorResponse(Struct, frozen=True):
    """The client hears this error code.

    Of a request: the broker never sees it. Of a response: the broker did what it was asked for, and the client does not
    learn that.
    """

    code: int
    direction: Direction = REQUEST


class Hold(Struct, frozen=True):
    """It waits, and all that follows it on its connection, until it is released; also if its sender gave up.

    With `cut`, the client's connection is reset meanwhile: it knows at once that it will hear nothing.
    """

    direction: Direction = REQUEST
    cut: bool = False


Action: TypeAlias = Delay | Drop | Reset | Blackhole | ErrorResponse | Hold


class HeldFrame:
    """A frame that is late."""

    def __init__(self, asked: Request, seconds: float | None, healed: anyio.Event) -> None:
        self.asked = asked
        self.released = anyio.Event()
        self.delivered = anyio.Event()
        """Set when it is delivered and, if it is a request, answered; or when nothing can come of it any more."""
        self.answer: bytes | None = None
        self._seconds = seconds
        self._healed = healed

    async def due(self) -> None:
        if self._seconds is None:
            await self.released.wait()
            return
        with anyio.move_on_after(self._seconds):
            await self._healed.wait()


class Fault:
    """What happens to frames of some kind."""

    def __init__(self, apis: Collection[int], action: Action, times: int | None, skip: int, for_id: str | None) -> None:
        if isinstance(action, ErrorResponse) and not (apis and ERROR_RESPONSE_APIS.issuperset(apis)):
            raise ValueError(f"the proxy has no answers of its own to {apis or 'everything'}")
        self.action = action
        self.applied = 0
        """How many times it happened."""
        self.held: list[HeldFrame] = []
        self._apis = frozenset(apis)
        self._left = times
        self._skip = skip
        self._naming = for_id
        self._happened = anyio.Event()
        self._healed = anyio.Event()

    def applies_to(self, asked: Request, direction: Direction) -> bool:
        """Whether it happens to this frame; counted if it does."""
        if self._left == 0 or direction is not self.action.direction:
            return False
        if (self._apis and asked.api not in self._apis) or not (self._naming is None or asked.names(self._naming)):
            return False
        if self._skip:
            self._skip -= 1
            return False
        if self._left is not None:
            self._left -= 1
        self.applied += 1
        self._happened.set()
        self._happened = anyio.Event()
        return True

    async def wait_applied(self, times: int = 1) -> None:
        """Return when it did, so often."""
        while self.applied < times:
            await self._happened.wait()

    def keep(self, asked: Request) -> HeldFrame:
        """Note that a frame is late; it is due when the result's `due` returns."""
        self.held.append(
            HeldFrame(asked, self.action.seconds if isinstance(self.action, Delay) else None, self._healed)
        )
        return self.held[-1]

    async def release(self) -> list[int | None]:
        """Deliver what is held, in the order in which it came; what the broker said to each: an error code, 0, or None.

        None is said where nothing was: to responses, and where the broker is gone.
        """
        held, self.held = self.held, []
        codes: list[int | None] = []
        for each in held:
            each.released.set()
            await each.delivered.wait()
            codes.append(None if each.answer is None else error_code(each.asked, each.answer))
        return codes

    def heal(self) -> None:
        self._healed.set()
