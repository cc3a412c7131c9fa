"""Cancels a coroutine at a chosen await."""

from collections.abc import Awaitable, Generator
from typing import Any

import anyio


async def cancelled_at(step: int, work: Awaitable[object]) -> anyio.CancelScope:
    """Await the work in a scope that is cancelled when it suspends for the n-th time, counted from 0.

    Returns the scope: `cancel_called` is whether the work reached that step, `cancelled_caught` whether it ended
    because of the cancellation.
    """
    with anyio.CancelScope() as scope:
        await _Stepping(work, step, scope)
    return scope


class _Stepping:
    """Delegates to the coroutine as `yield from` does, and counts how often it suspends."""

    def __init__(self, work: Awaitable[object], step: int, scope: anyio.CancelScope) -> None:
        self._work = work
        self._left = step
        self._scope = scope

    def __await__(self) -> Generator[Any, Any, object]:
        steps = self._work.__await__()
        error: BaseException | None = None
        while True:
            try:
                awaited = steps.send(None) if error is None else steps.throw(error)
            except StopIteration as stop:
                return stop.value
            if self._left == 0:
                self._scope.cancel()
            self._left -= 1
            error = None
            try:
                yield awaited
            except BaseException as thrown:  # noqa: BLE001 - most often a cancellation
                error = thrown
