"""Faults in the vendors' responses, each with a configured probability."""

import asyncio
from collections.abc import Mapping
from random import Random

from aiohttp import web
from aiohttp.typedefs import Handler

KINDS = ("429", "500", "timeout", "truncated", "failed_export")
HANG_S = 3600.0


class Faults:
    """Injects faults. `rates` are probabilities by kind, from 0 to 1; kinds without a rate do not occur."""

    def __init__(self, rates: Mapping[str, float] | None = None, seed: int = 1) -> None:
        self._rates = dict(rates or {})
        self._random = Random(seed)

    def happens(self, kind: str) -> bool:
        """Whether a fault of this kind is injected now, at random."""
        rate = self._rates.get(kind, 0.0)
        return rate > 0 and self._random.random() < rate

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.happens("429"):
            return web.Response(status=429, headers={"Retry-After": "1"})
        if self.happens("500"):
            return web.Response(status=500, text="<html>Internal Server Error</html>", content_type="text/html")
        if self.happens("timeout"):
            await asyncio.wait_for(asyncio.get_running_loop().create_future(), HANG_S)
        response = await handler(request)
        if self.happens("truncated") and isinstance(response, web.Response) and isinstance(response.body, bytes):
            return await _truncated(request, response.body)
        return response


async def _truncated(request: web.Request, body: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.abort()
    return response
