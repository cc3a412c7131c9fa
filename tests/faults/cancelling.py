"""Cancelling at every await: a coroutine is run until it waits for the n-th time, and its scope is cancelled then."""

from collections.abc import Awaitable, Generator
from typing import Any

import anyio


async def cancelled_at(step: int, work: Awaitable[object]) -> anyio.CancelScope:
    """The scope, left by now: it tells whether the work came so far, and whether it then ended because of it."""
    with anyio.CancelScope() as scope:
        await _Stepping(work, step, scope)
    return scope


class _Stepping:
    """Passes on what the coroutine waits for, and counts that; as `yield from` otherwise."""

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
            except BaseException as thrown:  # noqa: BLE001 - a cancellation, most of all
                error = thrown
